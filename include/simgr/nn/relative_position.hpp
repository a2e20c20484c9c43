// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>
#include <span>

#include <simgr/core/op_tags.hpp>
#include <simgr/core/parameter.hpp>

namespace simgr::SIMGR_ABI {

/// A trained number for each head and distance between key and query, added to attention scores.
/// Near distances have a bucket each, far ones share buckets that widen with the logarithm, and all
/// beyond `farthest` share the last. A causal table knows no keys after the query.
///
///   y(h, longest - 1 + d) = table(bucket(d), h),   d = key - query
///
/// Tokens that share a position are at no distance from each other: `longest` counts positions then,
/// and every column stands once for each of them.
///
/// Shapes      y [heads, (2 longest - 1) · tokens_per_position]
/// Parameters  table [buckets, heads]
/// Cache       the bucket of each distance
/// Cost        O(heads · longest): once a stack, whose layers share the table
/// Gradients   the table accumulates
/// Source      Raffel et al. 2020, section 2.1; buckets as in their published code
struct RelativePosition {
  struct Config {
    Index heads = 1;
    Index buckets = 32;    // at least 2, and 4 where bidirectional
    Index farthest = 128;  // more than half of a direction's buckets
    bool bidirectional = true;
    Init init = Init::normal(1);
    Index tokens_per_position = 1;
  };
  template <class T, class S = Host>
  struct Params {
    Matrix<T, S> table;
  };
  template <class T, class S = Host>
  struct Cache {
    std::span<const std::int32_t> buckets;  // of every column
  };

  template <class F, class... P>
  static void for_each_parameter(const Config& c, F&& f, P&... p) {
    f(Spec<2>{"table", {c.buckets, c.heads}, c.init}, p.table...);
  }

  /// The row of the table for a key at `distance` from its query.
  static Index bucket(const Config& c, Index distance) noexcept {
    const Index count = c.bidirectional ? c.buckets / 2 : c.buckets, near = count / 2;
    const Index base = c.bidirectional && distance > 0 ? count : 0;
    const Index gap = c.bidirectional ? std::abs(distance) : std::max<Index>(-distance, 0);
    if (gap < near) {
      return base + gap;
    }
    // In float, because trained tables were: the rounding decides where a bucket ends.
    const float share =
        std::log(static_cast<float>(gap) / static_cast<float>(near)) /
        static_cast<float>(std::log(static_cast<double>(c.farthest) / static_cast<double>(near)));
    return base +
           std::min(count - 1, near + static_cast<Index>(share * static_cast<float>(count - near)));
  }

  /// @param tokens  of the longest sequence
  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const Config& c, const Params<T, S>& p, Index tokens,
                              Cache<T, S>& cache, Ctx& ctx) {
    const Index together = c.tokens_per_position, longest = tokens / together;
    const Index distances = std::max<Index>(2 * longest - 1, 0) * together;
    const Vector<std::int32_t, S> buckets = ctx.template take<std::int32_t>(distances);
    for (Index i = 0; i < distances; ++i) {
      buckets[i] = static_cast<std::int32_t>(bucket(c, i / together - (longest - 1)));
    }
    cache.buckets = std::span<const std::int32_t>(buckets.span());
    const Matrix<T, S> y = ctx.template take<T>(c.heads, distances);
    gather_columns(ctx, p.table, cache.buckets, y);
    return y;
  }

  // forward: y(h, i) = table(b_i, h).   dtable(b_i, h) += dy(h, i)
  template <class T, class S, class Ctx>
  static void backward(const Config&, const Params<T, S>&, const Params<T, S>& grad,
                       MatrixArg<T, S> dy, const Cache<T, S>& cache, Ctx& ctx) {
    scatter_add_columns(ctx, dy, cache.buckets, grad.table);
  }
};

}  // namespace simgr::SIMGR_ABI
