// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <type_traits>

#include <simgr/core/executor.hpp>
#include <simgr/core/types.hpp>

namespace simgr::SIMGR_ABI::train {

/// Told to the observer after a step.
struct StepReport {
  Index epoch = 0, epochs = 0;  // epoch from 1
  Index step = 0, steps = 0;    // within the epoch, step from 1
  double loss = 0;              // mean over the epoch so far
  double seconds = 0;           // of training in this epoch so far
  double tokens_per_second = 0;
  double rate = 0;           // learning rate of this step
  double gradient_norm = 0;  // before clipping
};

/// Told to the observer after an epoch.
struct EpochReport {
  Index epoch = 0, epochs = 0;  // epoch from 1
  double loss = 0;              // mean over the epoch
  double seconds = 0;           // of training alone, without evaluation and saving
  double tokens_per_second = 0;
  std::optional<double> validation_ndcg10 = std::nullopt;  // absent: the epoch was not evaluated
  double rate = 0;                                         // learning rate of the last step
  double gradient_norm = 0;                                // of the last step, before clipping
  bool best = false;                                       // the best validation so far
};

/// Told to the observer of a stage before training, after an epoch of it.
struct PretrainReport {
  Index epoch = 0, epochs = 0;  // epoch from 1
  double loss = 0;              // mean over the epoch
};

/// Tells an observer, if it listens to this kind of report. An observer is any callable; one that
/// returns a bool ends training by returning false.
///
/// @return  whether to go on
template <class Observer, class Report>
bool observe(Observer& observer, const Report& report) {
  if constexpr (!std::is_invocable_v<Observer&, const Report&>) {
    return true;
  } else if constexpr (std::is_same_v<std::invoke_result_t<Observer&, const Report&>, bool>) {
    return observer(report);
  } else {
    observer(report);
    return true;
  }
}

using ::simgr::Silent;

}  // namespace simgr::SIMGR_ABI::train
