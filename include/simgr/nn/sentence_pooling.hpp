// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include <simgr/core/arena.hpp>
#include <simgr/core/op_tags.hpp>
#include <simgr/core/view.hpp>

namespace simgr::SIMGR_ABI {

/// Which states of a text stand for all of it.
enum class Pooling {
  mean,   // of all tokens, those that begin and end a text included
  first,  // BERT's [CLS]
  last    // of a decoder, which has read everything before it
};

/// One row for each sequence of states.
///
///   y_s = mean_t x_t,  x_first or x_last;   then y_s / |y_s| where `normalised`
///
/// Shapes      x [tokens, width], y [sequences, width];  no sequence is empty
/// Parameters  none
/// Cost        O(tokens · width)
/// Gradients   dx is assigned
/// Source      Reimers & Gurevych 2019, section 3
struct SentencePooling {
  struct Config {
    Pooling pooling = Pooling::mean;
    bool normalised = true;
  };
  template <class T, class S = Host>
  struct Cache {
    MatrixArg<T, S> x;
    Offsets offsets;
    Vector<T, S> weights;            // [tokens] of the mean
    Vector<std::int32_t, S> chosen;  // [sequences] of the others
    Matrix<T, S> pooled;             // [sequences, width], before the norm
    Vector<T, S> scale;              // [sequences]

    std::span<const std::int32_t> rows() const { return {chosen.data(), chosen.span().size()}; }
  };

  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const Config& c, Matrix<const T, S> x, Offsets offsets,
                              Cache<T, S>& cache, Ctx& ctx) {
    const Index sequences = static_cast<Index>(offsets.size()) - 1;
    cache.x = x;
    cache.offsets = offsets;
    cache.pooled = ctx.template take<T>(sequences, x.cols());
    if (c.pooling == Pooling::mean) {
      cache.weights = ctx.template take<T>(x.rows());
      for (std::size_t s = 0; s + 1 < offsets.size(); ++s) {
        const Index length = offsets[s + 1] - offsets[s];
        fill(ctx, Vector<T, S>(cache.weights.data() + offsets[s], {length}),
             T(1) / static_cast<T>(length));
      }
      sum_sequences(ctx, cache.weights, x, offsets, cache.pooled);
    } else {
      cache.chosen = ctx.template take<std::int32_t>(sequences);
      for (std::size_t s = 0; s + 1 < offsets.size(); ++s) {
        cache.chosen[static_cast<Index>(s)] = static_cast<std::int32_t>(
            c.pooling == Pooling::first ? offsets[s] : offsets[s + 1] - 1);
      }
      gather_rows(ctx, x, cache.rows(), cache.pooled);
    }
    if (!c.normalised) {
      return cache.pooled;
    }
    const Matrix<T, S> y = ctx.template take<T>(sequences, x.cols());
    cache.scale = ctx.template take<T>(sequences);
    normalise_rows(ctx, MatrixArg<T, S>(cache.pooled), T(1), y, cache.scale);
    return y;
  }

  // forward: y = p / |p|,  p = Σ w x or one x.   dp = (dy - y (y · dy)) / |p|;  dx = w dp
  template <class T, class S, class Ctx>
  static Matrix<T, S> backward(const Config& c, Matrix<const T, S> dy, const Cache<T, S>& cache,
                               Ctx& ctx) {
    const Matrix<T, S> dx = ctx.template take<T>(cache.x.rows(), cache.x.cols());
    Arena::Scope scope(ctx.arena);
    MatrixArg<T, S> dpooled = dy;
    if (c.normalised) {
      const Matrix<T, S> through = ctx.template take<T>(dy.rows(), dy.cols());
      normalise_rows_backward(ctx, MatrixArg<T, S>(cache.pooled), T(1),
                              VectorArg<T, S>(cache.scale), dy, through, Write::assign);
      dpooled = through;
    }
    if (c.pooling == Pooling::mean) {
      sum_sequences_backward(ctx, VectorArg<T, S>(cache.weights), cache.x, cache.offsets, dpooled,
                             dx, ctx.template take<T>(dx.rows()));
    } else {
      fill(ctx, dx, T(0));
      scatter_add_rows(ctx, dpooled, cache.rows(), T(1), dx);
    }
    return dx;
  }
};

}  // namespace simgr::SIMGR_ABI
