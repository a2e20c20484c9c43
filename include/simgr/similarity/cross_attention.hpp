// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include <simgr/core/arena.hpp>
#include <simgr/core/items_view.hpp>
#include <simgr/nn/digit_cross_attention.hpp>
#include <simgr/similarity/candidates.hpp>
#include <simgr/similarity/inner_product.hpp>
#include <simgr/similarity/scaled_cosine.hpp>

namespace simgr::SIMGR_ABI {

/// Scores of items whose vectors depend on the user, in tiles: what a loss over the full catalogue
/// and a ranker read instead of ProductScores.
///
///   s(r, i) = cos(h_r, e_ri) / temperature
///
/// Cost       of a tile: O(count · (table rows · width + items · digits²))
/// Gradients  dqueries is assigned, dkeys and dlog_inverse_temperature accumulate; the Gram
///            matrices' part reaches dkeys in finish(), after the last tile
template <class T, class S = Host>
struct CrossAttentionScores {
  MatrixArg<T, S> queries;  // [rows, width]: the user states h
  MatrixArg<T, S> keys;     // [2 table rows, width]: keys brought to the user's side, and values
  Matrix<T, S> dqueries;    // [rows, width]
  Matrix<T, S> dkeys;       // [2 table rows, width]
  Matrix<const std::int32_t, S> digit_rows;  // [items, digits]
  MatrixArg<T, S> grams;                     // [items, digits²]
  Matrix<T, S> dgrams;                       // [items, digits²], zero at first
  T inverse_temperature = 1;
  Vector<T, S> dlog_inverse_temperature;  // [1], or empty where it is fixed

  Index rows() const noexcept { return queries.rows(); }
  Index candidates() const noexcept { return digit_rows.rows(); }

  /// scores [count, items] of rows first … first + count - 1.
  template <class Ctx>
  void tile(Ctx& ctx, Index first, Index count, Matrix<T, S> scores) const {
    Arena::Scope scope(ctx.arena);
    const Tile t = products(ctx, first, count);
    cross_scores(ctx, t.products, digit_rows, grams, t.factors, scores);
  }
  // s = f q(h keys'),  f = 1 / (|h| temperature).   dh = dP keys - (f df / |h|²) h
  template <class Ctx>
  void tile_backward(Ctx& ctx, Index first, Index count, MatrixArg<T, S> dscores) const {
    Arena::Scope scope(ctx.arena);
    const Tile t = products(ctx, first, count);
    const Matrix<T, S> dproducts = ctx.template take<T>(count, keys.rows());
    const Vector<T, S> dfactors = ctx.template take<T>(count);
    cross_scores_backward(ctx, t.products, digit_rows, grams, t.factors, dscores, dproducts, dgrams,
                          dfactors);
    const MatrixArg<T, S> states = queries.slice(first, count);
    const Matrix<T, S> dstates = dqueries.slice(first, count);
    gemm_nn(ctx, dproducts, keys, dstates, Write::assign);
    gemm_tn(ctx, dproducts, states, dkeys, Write::add);
    multiply(ctx, dfactors, t.factors, dfactors);  // d log f
    if (!dlog_inverse_temperature.empty()) {
      add_column_sums(ctx, Matrix<T, S>(dfactors.data(), {count, 1}), dlog_inverse_temperature);
    }
    multiply(ctx, dfactors, t.inverse_squares, dfactors);
    scale(ctx, dfactors, T(-1));
    scale_rows(ctx, dfactors, states, dstates, Write::add);
  }
  /// Once, after the last tile.
  template <class Ctx>
  void finish(Ctx& ctx) const {
    const Index count = keys.rows() / 2;
    digit_grams_backward(ctx, keys.slice(count, count), digit_rows, dgrams,
                         dkeys.slice(count, count));
  }

private:
  struct Tile {
    Matrix<T, S> products;                  // [count, 2 table rows]
    Vector<T, S> factors, inverse_squares;  // [count]: f and 1 / |h|²
  };
  template <class Ctx>
  Tile products(Ctx& ctx, Index first, Index count) const {
    const MatrixArg<T, S> states = queries.slice(first, count);
    Tile t{ctx.template take<T>(count, keys.rows()), ctx.template take<T>(count),
           ctx.template take<T>(count)};
    gemm_nt(ctx, states, keys, t.products, Write::assign);
    inverse_lengths(ctx, states, t.factors);
    multiply(ctx, t.factors, t.factors, t.inverse_squares);
    scale(ctx, t.factors, inverse_temperature);
    return t;
  }
};

/// Cosine with items that each user pools anew. Queries are the states themselves; the scores are
/// no products of queries and item vectors, so only a loss over the full catalogue can read them.
///
/// Parameters  log_inverse_temperature [1], where `learned`
template <>
struct ScaledCosine<PooledDigits<CrossAttention>> : StatesAndVectors {
  using In = flow::UserStates;
  using Out = flow::ItemScores;
  using Candidates = PooledDigits<CrossAttention>;
  using Config = ScaledCosine<TiedItems>::Config;

  template <class T, class S = Host>
  using Params = ScaledCosine<TiedItems>::Params<T, S>;
  template <class T, class S = Host>
  using Scores = CrossAttentionScores<T, S>;
  template <class F, class... P>
  static void for_each_parameter(const Config& c, F&& f, P&... p) {
    ScaledCosine<TiedItems>::for_each_parameter(c, f, p...);
  }

  /// What scores read of each item besides the keys of its digits: the Gram matrices.
  template <class CandidatesCache>
  static auto terms(const CandidatesCache& candidates) {
    return candidates.pooler.grams;
  }
  /// The scorer of one batch. dqueries and dkeys may be empty where nothing goes back.
  template <class T, class S, class Ctx>
  static Scores<T, S> scores(const Config& c, const Params<T, S>& p, const Params<T, S>& grad,
                             const ItemsView<S>& items, MatrixArg<T, S> grams,
                             MatrixArg<T, S> queries, MatrixArg<T, S> keys, Matrix<T, S> dqueries,
                             Matrix<T, S> dkeys, Ctx& ctx) {
    Matrix<T, S> dgrams;
    if (!dkeys.empty()) {
      dgrams = ctx.template take<T>(grams.rows(), grams.cols());
      fill(ctx, dgrams, T(0));
    }
    return {queries,
            keys,
            dqueries,
            dkeys,
            items.digit_rows,
            grams,
            dgrams,
            c.learned ? std::exp(p.log_inverse_temperature[0]) : static_cast<T>(1 / c.temperature),
            c.learned ? grad.log_inverse_temperature : Vector<T, S>{}};
  }
};

}  // namespace simgr::SIMGR_ABI
