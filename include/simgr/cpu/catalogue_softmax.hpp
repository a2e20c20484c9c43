// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <type_traits>

#include <simgr/cpu/context.hpp>
#include <simgr/cpu/eigen.hpp>
#include <simgr/cpu/softmax_kernels.hpp>
#include <simgr/cpu/softmax_tiles.hpp>

// The softmax over the whole catalogue, value and gradient: nearly all the work of training an
// item-level model. It is three products with an inner extent of a few dozen, too short for the
// packing that general products do first; so they have kernels of their own here, on Eigen's
// packets. (Eigen's products in row tiles that fit the second cache took 26 s of processor time an
// epoch on Beauty, a quarter of it packing; these take 9.)

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wignored-attributes"  // packets as template arguments

namespace simgr::SIMGR_ABI::cpu {

/// Cross-entropy of queries against a whole catalogue, value and gradient in one visit:
///
///   returns Σ_r logsumexp_i s(r, i) - s(r, target_r),   s(r, i) = queries(r) · keys(i)
///
///   dqueries(r) = weight (Σ_i p(r, i) keys(i) - keys(target_r))
///   dkeys      += weight Σ_r (p(r, ·) - 1[target_r]) queries(r)
///
/// Shapes     queries, dqueries [rows, width];  keys, dkeys [items, width];  targets [rows]
/// Cost       6 rows · items · width flops and rows · items exponentials; e^s of a block of rows is
///            kept between the two visits of the keys: at most `tile_bytes`, or a few rows
/// Gradients  dqueries is assigned, dkeys accumulates
/// Numerics   e^(s - b) with b = |q| max |k| needs no maximum, because s lies in [-b, b]. Where 2 b
///            could leave the range of the scalar, the maximum of each row is found first, by one
///            product more. Where the Context asks for bfloat16 and the processor has tiles, queries,
///            keys and probabilities are rounded to it; sums and the targets' own scores are floats.
template <class T>
double catalogue_cross_entropy(Context& ctx, MatrixArg<T> queries, MatrixArg<T> keys,
                               std::span<const std::int32_t> targets, T weight, Index tile_bytes,
                               Matrix<T> dqueries, Matrix<T> dkeys) noexcept {
#if SIMGR_HAS_TILES
  if constexpr (std::is_same_v<T, float>) {
    constexpr Index least = 32;
    if (ctx.matmul == MatMul::bf16 &&
        std::min({queries.rows(), keys.rows(), keys.cols()}) >= least && weight > 0 &&
        has_tiles()) {
      Arena::Scope scope(ctx.arena);
      return detail::SoftmaxTiles(ctx, keys)(queries, targets, weight, dqueries, dkeys);
    }
  }
#endif
  using K = detail::SoftmaxKernels<T>;
  constexpr Index panel = K::panel, lanes = K::lanes;
  Arena::Scope scope(ctx.arena);
  const Index rows = queries.rows(), items = keys.rows(), width = queries.cols();
  const Index padded = (width + lanes - 1) / lanes * lanes;
  const Index panels = (items + panel - 1) / panel;

  // Rows of a whole number of packets, or copies that are.
  const auto pad = [&](MatrixArg<T> x) -> Matrix<const T> {
    if (padded == width) {
      return x;
    }
    const Matrix<T> wide = ctx.take<T>(x.rows(), padded);
    as_eigen(wide).setZero();
    as_eigen(wide).leftCols(width) = as_eigen(x);
    return wide;
  };
  const Matrix<const T> q = pad(queries), k = pad(keys);
  const Matrix<T> dk = padded == width ? dkeys : ctx.take<T>(items, padded);
  if (padded != width) {
    as_eigen(dk).setZero();
  }

  // Keys turned round, panel by panel: [panels][padded][panel]. Places past the last score -huge.
  const Vector<T> turned = ctx.take<T>(panels * padded * panel);
  const Vector<T> offset = ctx.take<T>(panels * panel);
  T longest_key = 0;
  for (Index i = 0; i < items; ++i) {
    longest_key = std::max(longest_key, as_row(k.row(i)).square().sum());
  }
  longest_key = std::sqrt(longest_key);
  for (Index p = 0; p < panels; ++p) {
    T* to = turned.data() + p * padded * panel;
    for (Index i = 0; i < panel; ++i) {
      const Index item = p * panel + i;
      offset[item] = item < items ? T(0) : T(-1e30);
      for (Index c = 0; c < padded; ++c) {
        to[c * panel + i] = item < items ? k.data()[item * padded + c] : T(0);
      }
    }
  }

  const Index most = std::clamp<Index>(
      tile_bytes / (panels * panel * static_cast<Index>(sizeof(T))), K::score_rows, 252);
  const Vector<T> e = ctx.take<T>(panels * most * panel);  // [panels][rows of the block][panel]
  const Matrix<T> scaled = ctx.take<T>(most, padded), sums = ctx.take<T>(most, lanes);
  const Vector<T> shift = ctx.take<T>(most);
  const Matrix<T> dq = ctx.take<T>(most, padded);
  constexpr double log2_e = 1.4426950408889634;
  // Half the range of exponents, less a few bits.
  const T safe = std::is_same_v<T, float> ? T(58) : T(430);
  double loss = 0;
  for (Index first = 0; first < rows; first += most) {
    const Index count = std::min(most, rows - first);
    // Pass one works in powers of two: queries and shifts times log2(e).
    as_eigen(scaled.slice(0, count)) = T(log2_e) * as_eigen(q.slice(first, count));
    const auto visit = [&]<bool exponential>() {
      for (Index p = 0; p < panels; ++p) {
        detail::in_row_groups<K::score_rows>(count, [&]<int M>(Index r) {
          K::template scores<M, exponential>(
              scaled.data() + r * padded, padded, turned.data() + p * padded * panel,
              offset.data() + p * panel, shift.data() + r, e.data() + (p * most + r) * panel,
              sums.data() + r * lanes);
        });
      }
    };
    T largest_shift = 0;
    for (Index r = 0; r < count; ++r) {
      shift[r] = std::sqrt(as_row(scaled.row(r)).square().sum()) * longest_key;
      largest_shift = std::max(largest_shift, shift[r]);
    }
    if (!(largest_shift <= safe)) {
      as_eigen(sums).setConstant(-std::numeric_limits<T>::infinity());
      visit.template operator()<false>();
      for (Index r = 0; r < count; ++r) { shift[r] = as_row(sums.row(r)).maxCoeff(); }
    }
    as_eigen(sums).setZero();
    visit.template operator()<true>();

    // dq = (weight / Σe) Σ_i e_i k_i: the factor waits until the sum is done; dk takes queries that
    // carry it already.
    for (Index r = 0; r < count; ++r) {
      const double sum = static_cast<double>(as_row(sums.row(r)).sum());
      const Index target = targets[static_cast<std::size_t>(first + r)];
      const T own = (as_row(q.row(first + r)) * as_row(k.row(target))).sum();
      loss += std::log(sum) + static_cast<double>(shift[r]) / log2_e - static_cast<double>(own);
      const T factor = static_cast<T>(static_cast<double>(weight) / sum);
      as_row(scaled.row(r)) = factor * as_row(q.row(first + r));
      as_row(dk.row(target)) -= weight * as_row(q.row(first + r));
      sums(r, 0) = factor;
    }
    as_eigen(dq.slice(0, count)).setZero();
    // dq first: it reads e^s in the order of memory and so fetches it for dk, which takes a few
    // rows at a time, so that their queries and a panel of e^s stay in the first cache.
    constexpr Index together = 2, rows_together = 84;
    for (Index p = 0; p < panels; p += together) {
      const Index last = std::min(panels, p + together);
      detail::in_row_groups<K::sum_rows>(count, [&]<int M>(Index r) {
        for (Index s = p; s < last; ++s) {
          K::template add_products<M>(
              e.data() + (s * most + r) * panel, panel, 1, k.data() + s * panel * padded, padded,
              std::min(panel, items - s * panel), dq.data() + r * padded, padded, padded);
        }
      });
      for (Index from = 0; from < count; from += rows_together) {
        const Index some = std::min(rows_together, count - from);
        for (Index s = p; s < last; ++s) {
          const T* block = e.data() + (s * most + from) * panel;
          detail::in_row_groups<K::sum_rows>(std::min(panel, items - s * panel), [&]<int M>(
                                                                                     Index i) {
            K::template add_products<M>(block + i, 1, panel, scaled.data() + from * padded, padded,
                                        some, dk.data() + (s * panel + i) * padded, padded, padded);
          });
        }
      }
    }
    for (Index r = 0; r < count; ++r) {
      const Index target = targets[static_cast<std::size_t>(first + r)];
      as_eigen(dqueries.slice(first + r, 1)) =
          sums(r, 0) * as_eigen(dq.slice(r, 1)).leftCols(width) -
          weight * as_eigen(k.slice(target, 1)).leftCols(width);
    }
  }
  if (padded != width) {
    as_eigen(dkeys) += as_eigen(dk).leftCols(width);
  }
  return loss;
}

}  // namespace simgr::SIMGR_ABI::cpu

#pragma GCC diagnostic pop
