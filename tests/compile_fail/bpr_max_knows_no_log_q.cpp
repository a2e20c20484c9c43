// SPDX-License-Identifier: Apache-2.0
// expect: simgr: BprMax weighs the other items by their scores
// In-batch negatives with a log-q correction have no meaning in BPR-max.
#include <simgr/core/product_scores.hpp>
#include <simgr/cpu/cpu.hpp>
#include <simgr/loss/pairwise.hpp>

double train(const simgr::ProductScores<float>& scores, const simgr::LossBatch& batch,
             simgr::cpu::Context& ctx) {
  return simgr::BprMax<simgr::InBatch<true>>::value_and_gradient({}, scores, batch, 1.0f, ctx);
}
