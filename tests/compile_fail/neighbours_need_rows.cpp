// SPDX-License-Identifier: Apache-2.0
// expect: simgr: tasks of neighbours need an Encoder that reads any rows
#include <simgr/baselines/liger.hpp>
#include <simgr/train/neighbour_tasks.hpp>

using namespace simgr;

Index digits(const baselines::Liger::Config& config) {
  return train::NeighbourLists<baselines::Liger::Parts>::tokens_per_answer(config);
}
