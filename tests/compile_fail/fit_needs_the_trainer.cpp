// SPDX-License-Identifier: Apache-2.0
// expect: simgr: include <simgr/train/trainer.hpp> to call fit
#include <simgr/baselines/sasrec.hpp>

void fit(simgr::baselines::SasRec& model, const simgr::data::Split& split,
         const simgr::train::FitOptions& options) {
  model.fit(split, options);
}
