// SPDX-License-Identifier: Apache-2.0
// expect: simgr: tasks of neighbours need an Encoder that reads any rows
#include <simgr/baselines/gru4rec.hpp>
#include <simgr/train/neighbour_tasks.hpp>

using namespace simgr;

Index digits(const baselines::Gru4Rec::Config& config) {
  return train::NeighbourLists<baselines::Gru4Rec::Parts>::tokens_per_answer(config);
}
