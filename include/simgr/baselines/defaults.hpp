// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/train/fit_options.hpp>

namespace simgr::SIMGR_ABI::baselines {

/// The numbers a baseline is built and trained with unless somebody says otherwise. They stand at
/// the end of its header: that is the place to tune it.
template <class Model>
struct Defaults {
  typename Model::Config model{};
  train::FitOptions fit{};
};

}  // namespace simgr::SIMGR_ABI::baselines
