// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstring>

#include <simgr/cpu/context.hpp>
#include <simgr/cpu/product_tiles.hpp>

// Float products of rows with a matrix, for the shapes of layers: a few rows to some hundreds, and an
// inner extent of a hundred to a thousand. A general product spends a third of its time on packing
// the matrix where there are 20 rows; here its panels are transposed in registers.

namespace simgr::SIMGR_ABI::cpu {

namespace detail {

#if defined(__clang__)  // which would halve the widest vectors otherwise
#pragma clang attribute push(__attribute__((min_vector_width(512))), apply_to = function)
#endif

/// panel[j · panel_items + i] = w[i][j] for panel_items rows of w, `inner` numbers each.
inline void pack_rows(const float* w, Index inner, float* panel) noexcept {
  for (Index part = 0; part < 2; ++part) {
    for (Index j = 0; j < inner; j += lane_count) {
      const float* from = w + part * lane_count * inner + j;
      float* to = panel + j * panel_items + part * lane_count;
      Lanes block[lane_count];
      unrolled<lane_count>([&](auto i) { load(block[i], from + i * inner); });
      transpose(block);
      unrolled<lane_count>(
          [&](auto i) { std::memcpy(to + i * panel_items, &block[i], sizeof(Lanes)); });
    }
  }
}

/// out[r][i] = or += Σ_j x[r][j] panel[j][i] for `rows` rows, of which the first `count` are written.
/// The sums run in the order of j, whatever `rows` is.
template <Index rows>
void multiply_rows(const float* x, Index x_stride, const float* panel, Index inner, float* out,
                   Index out_stride, Index count, Write write) noexcept {
  Lanes first[rows] = {}, second[rows] = {};
  for (Index j = 0; j < inner; ++j) {
    Lanes a, b;
    load(a, panel + j * panel_items);
    load(b, panel + j * panel_items + lane_count);
    unrolled<rows>([&](auto r) {
      const float value = x[r * x_stride + j];
      first[r] += value * a;
      second[r] += value * b;
    });
  }
  unrolled<rows>([&](auto r) {
    if (r < count) {
      float* to = out + r * out_stride;
      if (write == Write::add) {
        Lanes a, b;
        load(a, to);
        load(b, to + lane_count);
        first[r] += a;
        second[r] += b;
      }
      std::memcpy(to, &first[r], sizeof(Lanes));
      std::memcpy(to + lane_count, &second[r], sizeof(Lanes));
    }
  });
}

#if defined(__clang__)
#pragma clang attribute pop
#endif

/// All of y, `rows` rows at a time.
template <Index rows, class Pack>
void multiply_in_panels(Context& ctx, MatrixArg<float> x, Matrix<float> y, Write write,
                        Pack&& pack) {
  constexpr Index together = 240;  // rows: what is copied of them stays in the cache
  const Index inner = x.cols();
  const Index stride = inner + lane_count;  // rows of a power of two would share cache lines
  Arena::Scope scope(ctx.arena);
  float* const panel = ctx.take<float>(inner * panel_items).data();
  const Index padded = (std::min(together, x.rows()) + rows - 1) / rows * rows;
  float* const copied = ctx.take<float>(padded * stride).data();
  for (Index begin = 0; begin < x.rows(); begin += together) {
    const Index count = std::min(together, x.rows() - begin);
    for (Index i = 0; i < padded; ++i) {
      const Vector<const float> row = x.row(begin + std::min(i, count - 1));
      std::copy(row.begin(), row.end(), copied + i * stride);
    }
    for (Index column = 0; column < y.cols(); column += panel_items) {
      pack(column, panel);
      for (Index i = 0; i < count; i += rows) {
        multiply_rows<rows>(copied + i * stride, stride, panel, inner,
                            y.row(begin + i).data() + column, y.cols(), count - i, write);
      }
    }
  }
}
template <class Pack>
void multiply_in_panels(Context& ctx, MatrixArg<float> x, Matrix<float> y, Write write,
                        Pack&& pack) {
  if constexpr (lane_count < 16) {  // sixteen registers
    multiply_in_panels<6>(ctx, x, y, write, pack);
  } else {
    const auto padded = [&](Index rows) { return (x.rows() + rows - 1) / rows * rows; };
    if (padded(10) <= std::min(padded(8), padded(6))) {
      multiply_in_panels<10>(ctx, x, y, write, pack);
    } else if (padded(8) <= padded(6)) {
      multiply_in_panels<8>(ctx, x, y, write, pack);
    } else {
      multiply_in_panels<6>(ctx, x, y, write, pack);
    }
  }
}

}  // namespace detail

/// Whether row_products() may be called, and is worth it.
inline bool suits_row_products(Index rows, Index cols, Index inner) noexcept {
  return rows >= 4 && cols % detail::panel_items == 0 && inner % detail::lane_count == 0;
}

/// y = x w', or y += x w'.   x [rows, inner], w [cols, inner], y [rows, cols]
///
/// A number of y does not depend on how many rows there are.
///
/// Cost  rows · cols · inner multiply-adds; w is transposed once for every 240 rows
inline void row_products(Context& ctx, MatrixArg<float> x, MatrixArg<float> w, Matrix<float> y,
                         Write write) {
  detail::multiply_in_panels(ctx, x, y, write, [&](Index column, float* panel) {
    detail::pack_rows(w.row(column).data(), w.cols(), panel);
  });
}

}  // namespace simgr::SIMGR_ABI::cpu
