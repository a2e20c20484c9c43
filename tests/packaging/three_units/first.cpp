// SPDX-License-Identifier: Apache-2.0
#include <simgr/core/parameter.hpp>

simgr::Index draw_first() {
  simgr::Rng rng(1);
  return rng.below(100);
}
