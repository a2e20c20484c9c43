// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/core/fields.hpp>
#include <simgr/core/product_scores.hpp>
#include <simgr/flow.hpp>
#include <simgr/loss/negatives.hpp>

namespace simgr::SIMGR_ABI {

/// -1/n Σ_j log softmax over items i of o_j · v_j(i), at the target: every vector of a set on its own,
/// against the same vector of the whole catalogue. Of items that are one vector it is
/// ItemCrossEntropy over the full catalogue.
///
/// Cost    6 rows · items · width flops and rows · items exponentials, n times
/// Source  Lin et al. 2025 (SETRec)
struct SetCrossEntropy {
  using In = flow::ItemScores;
  using Out = double;
  struct Config {
    Index tile_bytes = 16 << 20;  // of the scores that are kept between two visits of the keys

    template <class F, class C>
    static void for_each_field(C& c, F&& f) {
      f(Field{"tile_bytes", 1 << 12, 1 << 30, "bytes of one tile of scores"}, c.tile_bytes);
    }
  };

  template <class T, class S, class Ctx>
  static double value_and_gradient(const Config& c, const ProductScores<T, S>& scores,
                                   const LossBatch& batch, std::type_identity_t<T> weight,
                                   Ctx& ctx) {
    return scores.cross_entropy_of_parts(ctx, batch.targets, weight / static_cast<T>(scores.parts),
                                         c.tile_bytes);
  }
};

}  // namespace simgr::SIMGR_ABI
