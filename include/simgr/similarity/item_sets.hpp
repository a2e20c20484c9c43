// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/core/fields.hpp>
#include <simgr/similarity/candidates.hpp>

namespace simgr::SIMGR_ABI {

/// Items as the sets of vectors that the encoder reads: the vectors of an item stand side by side, and
/// those of a user's states too, so that a sum of products is one product.
///
///   while training   v(i) = (v_0, …, v_n)
///   to serve         v(i) = ((1 - beta) v_0, beta v_1, …, beta v_n)
///   score of i       (1 - beta) o_0 · v_0 + beta Σ_j o_j · v_j = o · v(i)
///
/// Training (SetCrossEntropy) compares the vectors one by one and knows no beta, so a trained model
/// serves with any: Model(catalogue, other config, weights). Choose it by validation.
struct ItemSets {
  using States = flow::SetStates;
  using Scores = flow::ItemScores;
  struct Config {
    double beta = 0.5;

    template <class F, class C>
    static void for_each_field(C& c, F&& f) {
      f(Field{"beta", 0, 1, "weight of what an item's text says in a score, not in training"},
        c.beta);
    }
  };
  template <class E>
  struct Over : detail::LentRows<Config> {
    using Shape = CandidatesShape<Config>;
    template <class T, class S = Host>
    using Params = typename detail::LentRows<Config>::template Params<T, S>;
    template <class T, class S = Host>
    using Cache = typename detail::LentRows<Config>::template Cache<T, S>;
    static constexpr bool side_by_side = true;
    static constexpr bool reads_sets = requires { requires E::EmbeddingType::item_sets; };
    static_assert(reads_sets, "simgr: ItemSets needs an Encoder over SetEmbedding, whose items are "
                              "sets of vectors; elsewhere an item is one vector: use TiedItems");

    template <class T, class S, class Ctx>
    static Matrix<const T, S> vectors(const Shape& shape, const Params<T, S>&,
                                      Matrix<const T, S> rows, const ItemsView<S>& items,
                                      Cache<T, S>&, Ctx& ctx) {
      const Matrix<const T, S> sets(rows.data(), {items.items, rows.size() / items.items});
      if (ctx.training) {
        return sets;
      }
      const Matrix<T, S> weighted = ctx.template take<T>(sets.rows(), sets.cols());
      copy(ctx, sets, weighted, Write::assign);
      for (Index i = 0; i < items.items; ++i) {
        const Vector<T, S> item = weighted.row(i);
        scale(ctx, item.slice(0, shape.width), static_cast<T>(1 - shape.own.beta));
        scale(ctx, item.slice(shape.width, item.size() - shape.width),
              static_cast<T>(shape.own.beta));
      }
      return weighted;
    }
    template <class T, class S, class Ctx>
    static Matrix<T, S> gradient(const Shape& shape, const Params<T, S>&, Matrix<T, S> drows,
                                 Ctx&) {
      return {drows.data(), {shape.catalogue.items, drows.size() / shape.catalogue.items}};
    }
  };
};

}  // namespace simgr::SIMGR_ABI
