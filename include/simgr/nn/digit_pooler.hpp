// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <string_view>

#include <simgr/core/fields.hpp>
#include <simgr/core/op_tags.hpp>
#include <simgr/core/parameter.hpp>
#include <simgr/nn/linear.hpp>

// Poolers of digits: from the rows of an item's digits to one vector, for the whole catalogue at
// once. A digit pooler is a type with
//
//   struct Config { … };                              numbers of its own; static for_each_field
//   template <class T, class S> struct Params, Cache;
//   for_each_parameter(shape, f, params...)           its own tensors; the digit table is not its own
//   forward(shape, params, table, rows, cache, ctx)   -> item vectors [items, width]
//   backward(shape, params, grad, table, rows, dvectors, dtable, cache, ctx)
//                                                     grad and dtable accumulate
//
// with shape a DigitShape<Config>, table [Σ codes, width], and rows [items, digits] the table rows of
// each item. examples/ shows one of your own.

namespace simgr::SIMGR_ABI {

/// What a digit pooler is told of the catalogue, and its own numbers.
template <class PoolerConfig>
struct DigitShape {
  Index width = 0, digits = 0;
  PoolerConfig own{};
};

/// e_i = (1 / digits) Σ_l table[rows(i, l)], or the plain sum.
///
/// Cost    O(items · digits · width)
/// Source  SimGR's pooling rule: the mean over an item's semantic-id embeddings
template <bool average>
struct DigitSum {
  using Config = NoFields;
  static constexpr std::string_view name = average ? "mean" : "sum";
  template <class T, class S = Host>
  struct Params {};
  template <class T, class S = Host>
  struct Cache {};

  template <class F, class... P>
  static void for_each_parameter(const DigitShape<Config>&, F&&, P&...) {}

  template <class T>
  static T factor(const DigitShape<Config>& shape) {
    return average ? T(1) / static_cast<T>(shape.digits) : T(1);
  }

  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const DigitShape<Config>& shape, const Params<T, S>&,
                              MatrixArg<T, S> table, Matrix<const std::int32_t, S> rows,
                              Cache<T, S>&, Ctx& ctx) {
    Matrix<T, S> vectors = ctx.template take<T>(rows.rows(), shape.width);
    sum_gathered_rows(ctx, table, rows, factor<T>(shape), vectors, Write::assign);
    return vectors;
  }
  template <class T, class S, class Ctx>
  static void backward(const DigitShape<Config>& shape, const Params<T, S>&, const Params<T, S>&,
                       MatrixArg<T, S>, Matrix<const std::int32_t, S> rows,
                       MatrixArg<T, S> dvectors, Matrix<T, S> dtable, const Cache<T, S>&,
                       Ctx& ctx) {
    scatter_add_to_digits(ctx, dvectors, rows, factor<T>(shape), dtable);
  }
};
using Mean = DigitSum<true>;
using Sum = DigitSum<false>;

/// The mean of an item's digits and an MLP over them.
///
///   e_i = mean_l x_il + W2 gelu(b1 + Σ_l W1 (scale x_il)) + b2,   x_il = table[rows(i, l)]
///
/// W1 acts on the digit table, once for each of its rows and not for each item: the hidden layer of
/// an item is then a sum of `digits` rows. One W1 serves all digits, because every digit has rows of
/// its own in the table.
///
/// Parameters  up.weight [hidden, width], up.bias [hidden], down.weight [width, hidden],
///             down.bias [width], with hidden = `hidden` · width
/// Cost        O(table rows · width · hidden + items · (digits + width) · hidden)
/// Source      ours: in SimGr the plain mean of four residual digits underfits. Its scores are nearly
///             additive over digits; but behind VqRec's encoder they fit, so that is not all of it
struct MeanPlusMlp {
  struct Config {
    Index hidden = 2;   // hidden width, in multiples of the width
    double scale = 20;  // of the rows that enter: they begin small

    template <class F, class C>
    static void for_each_field(C& c, F&& f) {
      f(Field{"hidden", 1, 64, "hidden width of the digit MLP, in multiples of the width"},
        c.hidden);
      f(Field{"scale", 1e-3, 1e3, "factor of the digit rows that enter the MLP"}, c.scale);
    }
  };
  static constexpr std::string_view name = "mean-mlp";
  template <class T, class S = Host>
  struct Params {
    Linear::Params<T, S> up, down;
    Vector<T, S> bias;
  };
  template <class T, class S = Host>
  struct Cache {
    Matrix<T, S> scaled;  // [table rows, width]
    Matrix<T, S> hidden;  // [items, hidden], before the activation
    Linear::Cache<T, S> up;
  };
  static constexpr Index tile = 252;  // items whose hidden layer stays in the second cache

  static Index hidden(const DigitShape<Config>& s) { return s.own.hidden * s.width; }
  static Linear::Config up(const DigitShape<Config>& s) { return {s.width, hidden(s), false}; }
  static Linear::Config down(const DigitShape<Config>& s) {
    return {hidden(s), s.width, true, Init::normal(0.02)};
  }

  template <class F, class... P>
  static void for_each_parameter(const DigitShape<Config>& s, F&& f, P&... p) {
    Linear::for_each_parameter(up(s), under("up", f), p.up...);
    f(Spec<1>{"up.bias", {hidden(s)}, Init::zeros(), Decay::no}, p.bias...);
    Linear::for_each_parameter(down(s), under("down", f), p.down...);
  }

  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const DigitShape<Config>& shape, const Params<T, S>& p,
                              MatrixArg<T, S> table, Matrix<const std::int32_t, S> rows,
                              Cache<T, S>& cache, Ctx& ctx) {
    cache.scaled = ctx.template take<T>(table.rows(), shape.width);
    copy(ctx, table, cache.scaled, Write::assign);
    scale(ctx, cache.scaled, static_cast<T>(shape.own.scale));
    const Matrix<T, S> lifted = Linear::forward(up(shape), p.up, cache.scaled, cache.up, ctx);
    cache.hidden = ctx.template take<T>(rows.rows(), hidden(shape));
    const Matrix<T, S> vectors = ctx.template take<T>(rows.rows(), shape.width);
    const Matrix<T, S> active = ctx.template take<T>(tile, hidden(shape));
    for (Index first = 0; first < rows.rows(); first += tile) {
      const Index count = std::min(tile, rows.rows() - first);
      const auto of = rows.slice(first, count);
      const Matrix<T, S> h = cache.hidden.slice(first, count), g = active.slice(0, count),
                         e = vectors.slice(first, count);
      sum_gathered_rows(ctx, lifted, of, T(1), h, Write::assign);
      add_to_rows(ctx, p.bias, h);
      activate(ctx, GeluTanh{}, h, g);
      gemm_nt(ctx, g, p.down.weight, e, Write::assign);
      add_to_rows(ctx, p.down.bias, e);
      sum_gathered_rows(ctx, table, of, T(1) / static_cast<T>(shape.digits), e, Write::add);
    }
    return vectors;
  }

  // forward: e = mean + W2 g(h) + b2,  h = b1 + Σ_l (scale x W1')[rows l]
  // dx += scatter(de / digits) + scale (scatter(dh) W1);  dW1 += scatter(dh)' (scale x)
  template <class T, class S, class Ctx>
  static void backward(const DigitShape<Config>& shape, const Params<T, S>& p,
                       const Params<T, S>& grad, MatrixArg<T, S>,
                       Matrix<const std::int32_t, S> rows, MatrixArg<T, S> dvectors,
                       Matrix<T, S> dtable, const Cache<T, S>& cache, Ctx& ctx) {
    const Matrix<T, S> dlifted = ctx.template take<T>(dtable.rows(), hidden(shape));
    fill(ctx, dlifted, T(0));
    const Matrix<T, S> active = ctx.template take<T>(tile, hidden(shape)),
                       dhidden = ctx.template take<T>(tile, hidden(shape));
    for (Index first = 0; first < rows.rows(); first += tile) {
      const Index count = std::min(tile, rows.rows() - first);
      const auto of = rows.slice(first, count);
      const MatrixArg<T, S> h = cache.hidden.slice(first, count), de = dvectors.slice(first, count);
      const Matrix<T, S> g = active.slice(0, count), dh = dhidden.slice(0, count);
      scatter_add_to_digits(ctx, de, of, T(1) / static_cast<T>(shape.digits), dtable);
      gemm_nn(ctx, de, p.down.weight, dh, Write::assign);
      activate_both_ways(ctx, GeluTanh{}, h, dh, g, dh);
      gemm_tn(ctx, de, g, grad.down.weight, Write::add);
      add_column_sums(ctx, de, grad.down.bias);
      add_column_sums(ctx, dh, grad.bias);
      scatter_add_to_digits(ctx, dh, of, T(1), dlifted);
    }
    const Matrix<T, S> dscaled = Linear::backward(up(shape), p.up, grad.up, dlifted, cache.up, ctx);
    scale(ctx, dscaled, static_cast<T>(shape.own.scale));
    copy(ctx, dscaled, dtable, Write::add);
  }
};

/// Numbers of a pooler that weighs digits by a product with their rows.
struct WeighedDigitsConfig {
  double scale = 20;  // of the rows where they decide the weights: they begin small

  template <class F, class C>
  static void for_each_field(C& c, F&& f) {
    f(Field{"scale", 1e-3, 1e3, "factor of the digit rows where they decide the weights"}, c.scale);
  }
};

/// One learned query for all items weighs their digits.
///
///   e_i = Σ_l a_il x_il,   a_i = softmax_l(scale query · x_il / sqrt(width)),
///   x_il = table[rows(i, l)]
///
/// The weight of a digit against another depends on their rows alone, so under a cosine the items
/// are those of a mean over rows of other lengths: it learns otherwise than the mean, and can say
/// little more.
///
/// Parameters  query [width]
/// Cost        O(table rows · width + items · digits · width)
/// Source      the plain form of attention pooling; the paper names it as future work and gives no
///             formula. The scale is ours: rows start at .02, and without it the weights stay even
struct DigitAttention {
  using Config = WeighedDigitsConfig;
  static constexpr std::string_view name = "attention";
  template <class T, class S = Host>
  struct Params {
    Vector<T, S> query;
  };
  template <class T, class S = Host>
  struct Cache {
    Matrix<T, S> weights;  // [items, digits]
  };

  template <class F, class... P>
  static void for_each_parameter(const DigitShape<Config>& shape, F&& f, P&... p) {
    f(Spec<1>{"query", {shape.width}, Init::normal(0.02), Decay::no}, p.query...);
  }

  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const DigitShape<Config>& shape, const Params<T, S>& p,
                              MatrixArg<T, S> table, Matrix<const std::int32_t, S> rows,
                              Cache<T, S>& cache, Ctx& ctx) {
    // The score of a digit depends on its table row alone: a product for the table, then a gather.
    const Matrix<T, S> scores = ctx.template take<T>(table.rows(), 1);
    gemm_nt(ctx, table, Matrix<T, S>(p.query.data(), {1, shape.width}), scores, Write::assign);
    scale(ctx, scores, factor<T>(shape));
    cache.weights = ctx.template take<T>(rows.rows(), shape.digits);
    gather_rows(ctx, scores, std::span<const std::int32_t>(rows.span()),
                Matrix<T, S>(cache.weights.data(), {rows.size(), 1}));
    softmax_rows(ctx, cache.weights);
    const Matrix<T, S> vectors = ctx.template take<T>(rows.rows(), shape.width);
    weighted_gather(ctx, table, rows, cache.weights, vectors);
    return vectors;
  }

  // forward: e = Σ a x,  a = softmax(f q · x).
  // da = de · x;  ds = f a (da - Σ a da);  dx += a de + ds q;  dq += Σ ds x
  template <class T, class S, class Ctx>
  static void backward(const DigitShape<Config>& shape, const Params<T, S>& p,
                       const Params<T, S>& grad, MatrixArg<T, S> table,
                       Matrix<const std::int32_t, S> rows, MatrixArg<T, S> dvectors,
                       Matrix<T, S> dtable, const Cache<T, S>& cache, Ctx& ctx) {
    const Matrix<T, S> dweights = ctx.template take<T>(rows.rows(), shape.digits);
    weighted_gather_backward(ctx, table, rows, cache.weights, dvectors, dtable, dweights);
    softmax_rows_backward(ctx, cache.weights, dweights, dweights);
    const Matrix<T, S> dscores = ctx.template take<T>(table.rows(), 1);
    fill(ctx, dscores, T(0));
    scatter_add_rows(ctx, Matrix<T, S>(dweights.data(), {rows.size(), 1}),
                     std::span<const std::int32_t>(rows.span()), factor<T>(shape), dscores);
    const Matrix<T, S> query(p.query.data(), {1, shape.width});
    gemm_tn(ctx, dscores, table, Matrix<T, S>(grad.query.data(), {1, shape.width}), Write::add);
    gemm_nn(ctx, dscores, query, dtable, Write::add);
  }

private:
  template <class T>
  static T factor(const DigitShape<Config>& shape) {
    return static_cast<T>(shape.own.scale) / std::sqrt(static_cast<T>(shape.width));
  }
};

/// A scalar gate opens each digit.
///
///   e_i = (1 / digits) Σ_l σ(scale gate · x_il + b) x_il,   x_il = table[rows(i, l)]
///
/// A gate depends on its row alone, so the items are a mean over other rows: see DigitAttention.
///
/// Parameters  gate.weight [width], gate.bias [1]
/// Cost        O(table rows · width + items · digits · width)
/// Source      the plain form of gated pooling; the paper names it as future work and gives no
///             formula. The scale is ours, as in DigitAttention
struct DigitGate {
  using Config = WeighedDigitsConfig;
  static constexpr std::string_view name = "gated";
  template <class T, class S = Host>
  struct Params {
    Vector<T, S> weight, bias;
  };
  template <class T, class S = Host>
  struct Cache {
    Matrix<T, S> gates;  // [table rows, 1], before the sigmoid
    Matrix<T, S> gated;  // [table rows, width]
  };

  template <class F, class... P>
  static void for_each_parameter(const DigitShape<Config>& shape, F&& f, P&... p) {
    f(Spec<1>{"gate.weight", {shape.width}, Init::normal(0.02), Decay::no}, p.weight...);
    f(Spec<1>{"gate.bias", {1}, Init::zeros(), Decay::no}, p.bias...);
  }

  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const DigitShape<Config>& shape, const Params<T, S>& p,
                              MatrixArg<T, S> table, Matrix<const std::int32_t, S> rows,
                              Cache<T, S>& cache, Ctx& ctx) {
    // A gate depends on its table row alone, so the table is gated once and then averaged.
    cache.gates = ctx.template take<T>(table.rows(), 1);
    gemm_nt(ctx, table, Matrix<T, S>(p.weight.data(), {1, shape.width}), cache.gates,
            Write::assign);
    scale(ctx, cache.gates, static_cast<T>(shape.own.scale));
    add_to_rows(ctx, p.bias, cache.gates);
    const Matrix<T, S> open = ctx.template take<T>(table.rows(), 1);
    activate(ctx, Sigmoid{}, cache.gates, open);
    cache.gated = ctx.template take<T>(table.rows(), shape.width);
    scale_rows(ctx, Vector<T, S>(open.data(), {table.rows()}), table, cache.gated, Write::assign);
    const Matrix<T, S> vectors = ctx.template take<T>(rows.rows(), shape.width);
    sum_gathered_rows(ctx, cache.gated, rows, T(1) / static_cast<T>(shape.digits), vectors,
                      Write::assign);
    return vectors;
  }

  // forward: y = σ(z) x,  z = f gate · x + b.
  // dz = σ' (dy · x);  db += Σ dz;  dx += σ dy + f dz gate;  dgate += f dz' x
  template <class T, class S, class Ctx>
  static void backward(const DigitShape<Config>& shape, const Params<T, S>& p,
                       const Params<T, S>& grad, MatrixArg<T, S> table,
                       Matrix<const std::int32_t, S> rows, MatrixArg<T, S> dvectors,
                       Matrix<T, S> dtable, const Cache<T, S>& cache, Ctx& ctx) {
    const Matrix<T, S> dgated = ctx.template take<T>(table.rows(), shape.width);
    fill(ctx, dgated, T(0));
    scatter_add_to_digits(ctx, dvectors, rows, T(1) / static_cast<T>(shape.digits), dgated);
    const Matrix<T, S> open = ctx.template take<T>(table.rows(), 1);
    activate(ctx, Sigmoid{}, cache.gates, open);
    scale_rows(ctx, Vector<T, S>(open.data(), {table.rows()}), dgated, dtable, Write::add);
    const Matrix<T, S> dz = ctx.template take<T>(table.rows(), 1);
    row_dots(ctx, dgated, table, Vector<T, S>(dz.data(), {table.rows()}));
    activate_backward(ctx, Sigmoid{}, cache.gates, dz, dz);
    add_column_sums(ctx, dz, grad.bias);
    scale(ctx, dz, static_cast<T>(shape.own.scale));
    gemm_tn(ctx, dz, table, Matrix<T, S>(grad.weight.data(), {1, shape.width}), Write::add);
    gemm_nn(ctx, dz, Matrix<T, S>(p.weight.data(), {1, shape.width}), dtable, Write::add);
  }
};

}  // namespace simgr::SIMGR_ABI
