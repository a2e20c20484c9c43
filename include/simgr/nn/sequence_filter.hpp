// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/core/arena.hpp>
#include <simgr/core/parameter.hpp>
#include <simgr/core/ragged.hpp>

namespace simgr::SIMGR_ABI {

/// A learned filter along packed sequences, given by its frequencies: each column of x is transformed,
/// multiplied by complex numbers of its own, and transformed back.
///
///   y = F⁻¹(W * F x),   W = real + i · imaginary
///
/// That is a circular convolution with the kernel F⁻¹ W over `places` places, which is how it is
/// computed: a short sequence pays for its own tokens alone. Where it stands on the circle makes no
/// difference.
///
/// Shapes      x, y [tokens, width];  no sequence is longer than places
/// Parameters  real, imaginary [places / 2 + 1, width]
/// Cache       x, borrowed;  the kernel [places, width]
/// Cost        O(Σ t² · width) + O(places² · width)
/// Gradients   parameters accumulate, dx is assigned
/// Source      Zhou et al., "Filter-enhanced MLP is All You Need for Sequential Recommendation", WWW
///             2022, equations 4 to 6; their zeros before a short history are left out in every layer
struct SequenceFilter {
  struct Config {
    Index width = 0, places = 0;
    Init init = Init::normal(0.02);
  };
  template <class T, class S = Host>
  struct Params {
    Matrix<T, S> real, imaginary;
  };
  template <class T, class S = Host>
  struct Cache {
    MatrixArg<T, S> x;
    Matrix<T, S> cosines, sines, kernel;
  };

  template <class F, class... P>
  static void for_each_parameter(const Config& c, F&& f, P&... p) {
    f(Spec<2>{"real", {c.places / 2 + 1, c.width}, c.init}, p.real...);
    f(Spec<2>{"imaginary", {c.places / 2 + 1, c.width}, c.init}, p.imaginary...);
  }

  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x,
                              const Packing& packing, Cache<T, S>& cache, Ctx& ctx) {
    cache.x = x;
    make_kernel(c, p, cache, ctx);
    const Matrix<T, S> y = ctx.template take<T>(x.rows(), c.width);
    circular_filter(ctx, cache.kernel, x, packing, y);
    return y;
  }
  /// The last position of each sequence alone.   x [tokens, width], y [sequences, width]
  template <class T, class S, class Ctx>
  static Matrix<T, S> serve_last(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x,
                                 const Packing& packing, Ctx& ctx) {
    Cache<T, S> cache;  // of one call
    make_kernel(c, p, cache, ctx);
    const Matrix<T, S> y = ctx.template take<T>(static_cast<Index>(packing.sequences()), c.width);
    circular_filter_of_last(ctx, cache.kernel, x, packing, y);
    return y;
  }

  // forward: k = C real + S imaginary, y_i = Σ_j k_(i-j) x_j.
  // dk_d = Σ_(i-j=d) x_j dy_i;  dx_j = Σ_i k_(i-j) dy_i;  dreal += C' dk;  dimaginary += S' dk
  template <class T, class S, class Ctx>
  static Matrix<T, S> backward(const Config& c, const Params<T, S>&, const Params<T, S>& grad,
                               MatrixArg<T, S> dy, const Packing& packing, const Cache<T, S>& cache,
                               Ctx& ctx) {
    const Matrix<T, S> dx = ctx.template take<T>(dy.rows(), c.width),
                       dkernel = ctx.template take<T>(c.places, c.width);
    fill(ctx, dkernel, T(0));
    circular_filter_backward(ctx, cache.kernel, cache.x, packing, dy, dx, dkernel);
    gemm_tn(ctx, cache.cosines, dkernel, grad.real, Write::add);
    gemm_tn(ctx, cache.sines, dkernel, grad.imaginary, Write::add);
    return dx;
  }

private:
  template <class T, class S, class Ctx>
  static void make_kernel(const Config& c, const Params<T, S>& p, Cache<T, S>& cache, Ctx& ctx) {
    const Index frequencies = c.places / 2 + 1;
    cache.cosines = ctx.template take<T>(c.places, frequencies);
    cache.sines = ctx.template take<T>(c.places, frequencies);
    cache.kernel = ctx.template take<T>(c.places, c.width);
    inverse_fourier(ctx, cache.cosines, cache.sines);
    gemm_nn(ctx, cache.cosines, p.real, cache.kernel, Write::assign);
    gemm_nn(ctx, cache.sines, p.imaginary, cache.kernel, Write::add);
  }
};

}  // namespace simgr::SIMGR_ABI
