// SPDX-License-Identifier: Apache-2.0
#include <simgr/simgr.hpp>

simgr::Index draw_first();
simgr::Index draw_second();

int main() {
  return draw_first() == draw_second() ? 0 : 1;
}
