// SPDX-License-Identifier: Apache-2.0
#include <model/one_step.hpp>

namespace simgr_test {
std::vector<double> step_in_float(const ToySimGr::Config& config, const std::vector<double>& from);
std::vector<double> step_in_float(const ToySimGr::Config& config, const std::vector<double>& from) {
  return step<ToySimGr, float>(config, from);
}
}  // namespace simgr_test
