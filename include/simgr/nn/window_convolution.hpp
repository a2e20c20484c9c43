// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include <simgr/core/arena.hpp>
#include <simgr/core/fields.hpp>
#include <simgr/core/op_tags.hpp>
#include <simgr/core/parameter.hpp>
#include <simgr/nn/linear.hpp>

namespace simgr::SIMGR_ABI {

/// A short sequence as an image that is convolved along both axes, and a vector of its user, as one
/// state.
///
///   v = x weighed by place, for each vertical filter;   h = max_w relu(filter · x_w … ), for filters
///   that cover 1 … window items;   z = relu(dropout([v | h]) A' + a);   y = relu([z | u] B' + b)
///
/// A sequence shorter than the window ends at its last place. Zeros before it are neither stored nor
/// multiplied; windows that lie among them count, with what a bias gives.
///
/// Shapes      x [tokens, width], at most `window` tokens a sequence;  u, y [sequences, width]
/// Parameters  vertical.weight [vertical, window], vertical.bias;  horizontal.weight [slices, width], the
///             filters by height, each a row for every item that it covers, horizontal.bias
///             [horizontal · window];  inner A, outer B with biases
/// Cache       x, borrowed;  slices [tokens, horizontal · window (window + 1) / 2] are not kept; where
///             each maximum lies, the inputs of both maps, and what the rectifiers read
/// Cost        O(tokens · horizontal · window² · width / 2), one product
/// Gradients   parameters accumulate, dx and du are assigned
/// Source      Tang & Wang, "Personalized Top-N Sequential Recommendation via Convolutional Sequence
///             Embedding", WSDM 2018, section 3
struct WindowConvolution {
  struct Numbers {
    Index vertical = 4, horizontal = 8;  // filters; the latter for each height
    double dropout = 0.4;

    template <class F, class C>
    static void for_each_field(C& c, F&& f) {
      f(Field{"vertical", 1, 1024, "filters along the items of the window"}, c.vertical);
      f(Field{"horizontal", 1, 1024, "filters for each number of neighbouring items"},
        c.horizontal);
      f(Field{"dropout", 0, 0.99, "of what the filters give"}, c.dropout);
    }
  };
  struct Config {
    Index width = 0, window = 0;
    Numbers own{};

    Index slices() const noexcept { return own.horizontal * window * (window + 1) / 2; }
    Index maxima() const noexcept { return own.horizontal * window; }
    Linear::Config inner() const { return {own.vertical * width + maxima(), width}; }
    Linear::Config outer() const { return {2 * width, width}; }
  };
  template <class T, class S = Host>
  struct Params {
    Matrix<T, S> vertical, horizontal;
    Vector<T, S> vertical_bias, horizontal_bias;
    Linear::Params<T, S> inner, outer;
  };
  template <class T, class S = Host>
  struct Cache {
    Offsets offsets;
    MatrixArg<T, S> x;
    Matrix<std::int32_t, S> best;
    Matrix<T, S> filtered, hidden, out;  // [v | h] after dropout; what the rectifiers read
    Linear::Cache<T, S> inner, outer;
    std::uint32_t stream = 0;
  };

  template <class F, class... P>
  static void for_each_parameter(const Config& c, F&& f, P&... p) {
    f(Spec<2>{"vertical.weight", {c.own.vertical, c.window}, Init::xavier()}, p.vertical...);
    f(Spec<1>{"vertical.bias", {c.own.vertical}, Init::zeros(), Decay::no}, p.vertical_bias...);
    f(Spec<2>{"horizontal.weight", {c.slices(), c.width}, Init::xavier()}, p.horizontal...);
    f(Spec<1>{"horizontal.bias", {c.maxima()}, Init::zeros(), Decay::no}, p.horizontal_bias...);
    Linear::for_each_parameter(c.inner(), under("inner", f), p.inner...);
    Linear::for_each_parameter(c.outer(), under("outer", f), p.outer...);
  }

  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x,
                              MatrixArg<T, S> u, Offsets offsets, Cache<T, S>& cache, Ctx& ctx) {
    const Index count = u.rows();
    const auto take = [&](Index rows, Index cols) { return ctx.template take<T>(rows, cols); };
    cache.offsets = offsets;
    cache.x = x;
    cache.filtered = take(count, c.inner().in);
    cache.best = ctx.template take<std::int32_t>(count, c.maxima());
    const Matrix<T, S> hidden = take(count, c.width), both = take(count, 2 * c.width),
                       y = take(count, c.width);
    {
      Arena::Scope scope(ctx.arena);
      const Matrix<T, S> v = take(count, c.own.vertical * c.width), h = take(count, c.maxima()),
                         slices = take(x.rows(), c.slices());
      vertical_filters(ctx, p.vertical, p.vertical_bias, x, offsets, v);
      gemm_nt(ctx, x, p.horizontal, slices, Write::assign);
      horizontal_maxima(ctx, c.own.horizontal, slices, p.horizontal_bias, offsets, h, cache.best);
      copy_to_columns(ctx, v, Columns<T, S>{cache.filtered, 0});
      copy_to_columns(ctx, h, Columns<T, S>{cache.filtered, v.cols()});
    }
    cache.stream = ctx.next_stream();
    dropout(ctx, cache.filtered, static_cast<float>(c.own.dropout), cache.stream);
    cache.hidden = Linear::forward(c.inner(), p.inner, cache.filtered, cache.inner, ctx);
    activate(ctx, Relu{}, cache.hidden, hidden);
    copy_to_columns(ctx, hidden, Columns<T, S>{both, 0});
    copy_to_columns(ctx, u, Columns<T, S>{both, c.width});
    cache.out = Linear::forward(c.outer(), p.outer, both, cache.outer, ctx);
    activate(ctx, Relu{}, cache.out, y);
    return y;
  }

  // forward: see above.  A maximum hands its gradient to the slices of its window alone.
  template <class T, class S, class Ctx>
  static Matrix<T, S> backward(const Config& c, const Params<T, S>& p, const Params<T, S>& grad,
                               MatrixArg<T, S> dy, Matrix<T, S> du, const Cache<T, S>& cache,
                               Ctx& ctx) {
    const Index count = dy.rows(), of_vertical = c.own.vertical * c.width;
    const auto take = [&](Index rows, Index cols) { return ctx.template take<T>(rows, cols); };
    const Matrix<T, S> dout = take(count, c.width), dhidden = take(count, c.width),
                       dv = take(count, of_vertical), dh = take(count, c.maxima()),
                       dslices = take(cache.x.rows(), c.slices()),
                       dx = take(cache.x.rows(), c.width);
    activate_backward(ctx, Relu{}, cache.out, dy, dout);
    const Matrix<T, S> dboth =
        Linear::backward(c.outer(), p.outer, grad.outer, dout, cache.outer, ctx);
    copy_columns(ctx, Columns<const T, S>{dboth, 0}, dhidden);
    copy_columns(ctx, Columns<const T, S>{dboth, c.width}, du);
    activate_backward(ctx, Relu{}, cache.hidden, dhidden, dhidden);
    const Matrix<T, S> dfiltered =
        Linear::backward(c.inner(), p.inner, grad.inner, dhidden, cache.inner, ctx);
    dropout(ctx, dfiltered, static_cast<float>(c.own.dropout), cache.stream);
    copy_columns(ctx, Columns<const T, S>{dfiltered, 0}, dv);
    copy_columns(ctx, Columns<const T, S>{dfiltered, of_vertical}, dh);
    horizontal_maxima_backward(ctx, c.own.horizontal, cache.best, cache.offsets, dh, dslices,
                               grad.horizontal_bias);
    gemm_tn(ctx, dslices, cache.x, grad.horizontal, Write::add);
    gemm_nn(ctx, dslices, p.horizontal, dx, Write::assign);
    vertical_filters_backward(ctx, p.vertical, cache.x, cache.offsets, dv, dx, grad.vertical,
                              grad.vertical_bias);
    return dx;
  }
};

}  // namespace simgr::SIMGR_ABI
