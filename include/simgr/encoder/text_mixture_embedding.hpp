// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include <simgr/core/op_tags.hpp>
#include <simgr/core/rng.hpp>
#include <simgr/encoder/item_embedding.hpp>
#include <simgr/nn/linear.hpp>

namespace simgr::SIMGR_ABI {

/// An item is a mixture of affine maps of its text vector x, in shares that x decides, and, if asked
/// for, a trained row besides:
///
///   row = Σ_e g_e (W_e dropout(x) + b_e) (+ t_item)
///   g   = softmax(G x + ε · (softplus(N x) + 0.01)),   ε: standard normal in training, 0 in serving
///
/// Experts are what the source calls parametric whitening, W (x - shift): an affine map, and trained as
/// one. One mask of dropout serves all of them.
///
/// Parameters  experts.weight [experts · width, text width], experts.bias;  gate.weight and
///             noise.weight [experts, text width], which begin at zero;  items [items, width] where
///             asked for
/// Cost        the whole catalogue once a step: 6 items · text width · experts · width flops; in memory,
///             items · (2 text width + 2 experts · width) numbers
/// Gradients   texts are given: none goes to them
/// Source      Hou et al. 2022 (UniSRec), section 2.1; noise as Shazeer et al. 2017, equation 4
struct TextMixtureEmbedding {
  struct Config {
    Index experts = 8;
    double dropout = 0.2;     // of text vectors, before the experts
    bool item_rows = false;   // a trained row of each item besides
    double deviation = 0.02;  // of the first values of those rows

    template <class F, class C>
    static void for_each_field(C& c, F&& f) {
      f(Field{"experts", 1, 256, "maps of text vectors that are mixed"}, c.experts);
      f(Field{"dropout", 0, 0.99, "of text vectors, before the experts"}, c.dropout);
      f(Field{"item_rows", 0, 1, "a trained row of each item besides (transductive)"}, c.item_rows);
      f(Field{"deviation", 0, 10, "standard deviation of the first values of those rows"},
        c.deviation);
    }
  };
  using Shape = EmbeddingShape<Config>;
  using DigitPooler = void;
  static constexpr bool row_per_item = true, needs_ids = false, reads_text_vectors = true;
  static Index tokens_per_item(const Shape&) noexcept { return 1; }

  template <class T, class S = Host>
  struct Params {
    Linear::Params<T, S> experts, gate, noise;
    Matrix<T, S> table;
  };
  template <class T, class S = Host>
  struct Cache {
    Linear::Cache<T, S> experts, gate, noise;
    Matrix<T, S> mapped;         // [items, experts · width]
    Matrix<T, S> shares;         // [items, experts]: g
    Matrix<T, S> drawn, spread;  // [items, experts]: ε and N x; none in serving
  };

  template <class F, class... P>
  static void for_each_parameter(const Shape& shape, F&& f, P&... p) {
    Linear::for_each_parameter(experts(shape), under("experts", f), p.experts...);
    Linear::for_each_parameter(gate(shape), under("gate", f), p.gate...);
    Linear::for_each_parameter(gate(shape), under("noise", f), p.noise...);
    if (shape.own.item_rows) {
      f(Spec<2>{"items", {shape.catalogue.items, shape.width}, Init::normal(shape.own.deviation)},
        p.table...);
    }
  }

  template <class T, class S, class Ctx>
  static Matrix<const T, S> rows(const Shape& shape, const Params<T, S>& p,
                                 const ItemsView<S>& items, Cache<T, S>& cache, Ctx& ctx) {
    const MatrixArg<T, S> texts = in_scalar<T>(items.text_vectors, ctx);
    MatrixArg<T, S> read = texts;
    if (ctx.training && shape.own.dropout > 0) {
      const Matrix<T, S> thinned = ctx.template take<T>(texts.rows(), texts.cols());
      copy(ctx, texts, thinned, Write::assign);
      dropout(ctx, thinned, static_cast<float>(shape.own.dropout), own_streams | ctx.next_stream());
      read = thinned;
    }
    cache.mapped = Linear::forward(experts(shape), p.experts, read, cache.experts, ctx);
    cache.shares = Linear::forward(gate(shape), p.gate, texts, cache.gate, ctx);
    cache.drawn = cache.spread = {};
    if (ctx.training) {
      cache.spread = Linear::forward(gate(shape), p.noise, texts, cache.noise, ctx);
      cache.drawn = ctx.template take<T>(cache.spread.rows(), cache.spread.cols());
      const Matrix<T, S> deviation = ctx.template take<T>(cache.spread.rows(), cache.spread.cols());
      activate(ctx, Softplus{}, MatrixArg<T, S>(cache.spread), deviation);
      Rng rng(ctx.seed ^ 0x6d69787475726573u, (ctx.step << 32) | ctx.next_stream());
      for (Index i = 0; i < cache.drawn.size(); ++i) {
        cache.drawn.data()[i] = static_cast<T>(rng.normal());
        cache.shares.data()[i] +=
            cache.drawn.data()[i] * (deviation.data()[i] + static_cast<T>(0.01));
      }
    }
    softmax_rows(ctx, cache.shares);
    const Matrix<T, S> rows = ctx.template take<T>(texts.rows(), shape.width);
    if (shape.own.item_rows) {
      copy(ctx, p.table, rows, Write::assign);
    } else {
      fill(ctx, rows, T(0));
    }
    for (Index i = 0; i < rows.rows(); ++i) {
      for (Index e = 0; e < shape.own.experts; ++e) {
        const auto mapped = cache.mapped.row(i).slice(e * shape.width, shape.width);
        for (Index k = 0; k < shape.width; ++k) { rows(i, k) += cache.shares(i, e) * mapped[k]; }
      }
    }
    return rows;
  }
  template <class T, class S, class Ctx>
  static Matrix<T, S> rows_gradient(const Shape& shape, const Params<T, S>&, Ctx& ctx) {
    const Matrix<T, S> drows = ctx.template take<T>(shape.catalogue.items, shape.width);
    fill(ctx, drows, T(0));
    return drows;
  }

  // forward: row = Σ_e g_e y_e.   dy_e = g_e drow;  dg_e = y_e · drow;
  //          ds = softmax backward of dg;  d(N x) = ds ε σ(N x)
  template <class T, class S, class Ctx>
  static void rows_backward(const Shape& shape, const Params<T, S>&, const Params<T, S>& grad,
                            const ItemsView<S>&, MatrixArg<T, S> drows, const Cache<T, S>& cache,
                            Ctx& ctx) {
    const Matrix<T, S> dmapped = ctx.template take<T>(cache.mapped.rows(), cache.mapped.cols());
    const Matrix<T, S> dshares = ctx.template take<T>(cache.shares.rows(), cache.shares.cols());
    for (Index i = 0; i < drows.rows(); ++i) {
      for (Index e = 0; e < shape.own.experts; ++e) {
        const auto mapped = cache.mapped.row(i).slice(e * shape.width, shape.width);
        const auto into = dmapped.row(i).slice(e * shape.width, shape.width);
        T sum = 0;
        for (Index k = 0; k < shape.width; ++k) {
          sum += mapped[k] * drows(i, k);
          into[k] = cache.shares(i, e) * drows(i, k);
        }
        dshares(i, e) = sum;
      }
    }
    gemm_tn(ctx, MatrixArg<T, S>(dmapped), cache.experts.x, grad.experts.weight, Write::add);
    add_column_sums(ctx, MatrixArg<T, S>(dmapped), grad.experts.bias);
    softmax_rows_backward(ctx, MatrixArg<T, S>(cache.shares), MatrixArg<T, S>(dshares), dshares);
    gemm_tn(ctx, MatrixArg<T, S>(dshares), cache.gate.x, grad.gate.weight, Write::add);
    if (cache.drawn.size() > 0) {
      for (Index i = 0; i < dshares.size(); ++i) { dshares.data()[i] *= cache.drawn.data()[i]; }
      activate_backward(ctx, Softplus{}, MatrixArg<T, S>(cache.spread), MatrixArg<T, S>(dshares),
                        dshares);
      gemm_tn(ctx, MatrixArg<T, S>(dshares), cache.noise.x, grad.noise.weight, Write::add);
    }
    if (shape.own.item_rows) {
      copy(ctx, drows, grad.table, Write::add);
    }
  }

private:
  // Rows are made once a step, and the shards of the step count their streams from 0, too.
  static constexpr std::uint32_t own_streams = 1u << 31;
  static Linear::Config experts(const Shape& shape) {
    return {shape.catalogue.text_width, shape.own.experts * shape.width};
  }
  static Linear::Config gate(const Shape& shape) {
    return {shape.catalogue.text_width, shape.own.experts, false, Init::zeros()};
  }
};

}  // namespace simgr::SIMGR_ABI
