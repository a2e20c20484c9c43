// SPDX-License-Identifier: Apache-2.0
// expect: simgr: include <simgr/io/model_file.hpp> to call save
#include <simgr/baselines/sasrec.hpp>

void save(const simgr::baselines::SasRec& model) {
  model.save("model.simgr");
}
