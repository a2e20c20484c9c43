// SPDX-License-Identifier: Apache-2.0
// expect: could not convert|no viable conversion
// Memory spaces do not mix: what reads host memory cannot be handed device memory.
#include <simgr/core/view.hpp>

simgr::MatrixArg<float> hand_over(simgr::Matrix<float, simgr::Device> matrix) {
  return matrix;
}
