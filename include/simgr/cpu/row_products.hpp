// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstring>

#include <simgr/cpu/context.hpp>
#include <simgr/cpu/product_tiles.hpp>
#include <simgr/cpu/row_passes.hpp>

// Float products of rows with a matrix, for the shapes of layers: a few rows to some hundreds, and an
// inner extent of a hundred to a thousand. A general product spends a third of its time on packing
// the matrix where there are 20 rows; here its panels are transposed in registers.

namespace simgr::SIMGR_ABI::cpu {

namespace detail {

#if defined(__clang__)  // which would halve the widest vectors otherwise
#pragma clang attribute push(__attribute__((min_vector_width(512))), apply_to = function)
#endif

/// panel[j · panel_items + i] = w[i][j] for `count` rows of w, panel_items at most, `inner` numbers
/// each, float or BFloat16; zero for the rows that lack.
template <class W>
void pack_rows(const W* w, Index count, Index inner, float* panel) noexcept {
  for (Index part = 0; part < 2; ++part) {
    const Index here = count - part * lane_count;
    for (Index j = 0; j < inner; j += lane_count) {
      const W* from = w + part * lane_count * inner + j;
      float* to = panel + j * panel_items + part * lane_count;
      Lanes block[lane_count];
      if (here >= lane_count) {
        unrolled<lane_count>([&](auto i) { load(block[i], from + i * inner); });
      } else {
        unrolled<lane_count>([&](auto i) {
          block[i] = Lanes{};
          if (i < here) {
            load(block[i], from + i * inner);
          }
        });
      }
      transpose(block);
      unrolled<lane_count>(
          [&](auto i) { std::memcpy(to + i * panel_items, &block[i], sizeof(Lanes)); });
    }
  }
}

/// out[r][i] = or += Σ_j x[r][j] panel[j][i] for `rows` rows, of which the first `count` are written,
/// each in its first `columns` columns, and bias[i] on top unless it is null. The sums run in the
/// order of j, whatever `rows` is.
template <Index rows>
void multiply_rows(const float* x, Index x_stride, const float* panel, Index inner, float* out,
                   Index out_stride, Index count, Index columns, const float* bias,
                   Write write) noexcept {
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
  if (columns < panel_items) {
    unrolled<rows>([&](auto r) {
      float sums[panel_items];
      std::memcpy(sums, &first[r], sizeof(Lanes));
      std::memcpy(sums + lane_count, &second[r], sizeof(Lanes));
      float* to = out + r * out_stride;
      for (Index i = 0; r < count && i < columns; ++i) {
        const float sum = write == Write::add ? sums[i] + to[i] : sums[i];
        to[i] = bias == nullptr ? sum : sum + bias[i];
      }
    });
    return;
  }
  Lanes first_bias = {}, second_bias = {};
  if (bias != nullptr) {
    load(first_bias, bias);
    load(second_bias, bias + lane_count);
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
      if (bias != nullptr) {
        first[r] += first_bias;
        second[r] += second_bias;
      }
      std::memcpy(to, &first[r], sizeof(Lanes));
      std::memcpy(to + lane_count, &second[r], sizeof(Lanes));
    }
  });
}

#if defined(__clang__)
#pragma clang attribute pop
#endif

/// All of y, `rows` rows at a time; panel_of(column) is the panel of the columns from there on.
template <Index rows, class PanelOf>
void multiply_in_panels(Context& ctx, MatrixArg<float> x, Matrix<float> y, const float* bias,
                        Write write, PanelOf&& panel_of) {
  const Index inner = x.cols();
  // What the rows that pass by a panel have stays in the second cache.
  const Index wanted = std::clamp<Index>(196608 / std::max<Index>(inner, 1), 240, 512);
  const Index together = rows_of_pass(x.rows(), wanted, rows);
  // Rows of 4 KiB would share cache lines, so they are copied; so is a last group that is not full.
  const bool copies = rows > 8 && inner % 1024 == 0;
  const Index stride = copies ? inner + lane_count : inner;
  const Index whole = copies ? 0 : x.rows() / rows * rows;
  Arena::Scope scope(ctx.arena);
  const Index most = copies ? together : rows;
  float* const copied = ctx.take<float>(most * stride).data();
  const auto copy_rows = [&](Index begin, Index count, Index padded) {
    for (Index i = 0; i < padded; ++i) {
      const Vector<const float> row = x.row(begin + std::min(i, count - 1));
      std::copy(row.begin(), row.end(), copied + i * stride);
    }
  };
  for (Index begin = 0; begin < x.rows(); begin += together) {
    const Index count = std::min(together, x.rows() - begin);
    if (copies) {
      copy_rows(begin, count, (count + rows - 1) / rows * rows);
    } else if (begin + count > whole) {
      copy_rows(whole, x.rows() - whole, rows);
    }
    for (Index column = 0; column < y.cols(); column += panel_items) {
      const float* const panel = panel_of(column);
      for (Index i = 0; i < count; i += rows) {
        const float* const from = copies              ? copied + i * stride
                                  : begin + i < whole ? x.row(begin + i).data()
                                                      : copied;
        multiply_rows<rows>(from, stride, panel, inner, y.row(begin + i).data() + column, y.cols(),
                            count - i, std::min(panel_items, y.cols() - column),
                            bias == nullptr ? nullptr : bias + column, write);
      }
    }
  }
}
template <class PanelOf>
void multiply_in_panels(Context& ctx, MatrixArg<float> x, Matrix<float> y, const float* bias,
                        Write write, PanelOf&& panel_of) {
  const auto padded = [&](Index rows) { return (x.rows() + rows - 1) / rows * rows; };
  if constexpr (lane_count < 16) {  // sixteen registers
    if (padded(6) <= std::min(padded(5), padded(4))) {
      multiply_in_panels<6>(ctx, x, y, bias, write, panel_of);
    } else if (padded(5) <= padded(4)) {
      multiply_in_panels<5>(ctx, x, y, bias, write, panel_of);
    } else {
      multiply_in_panels<4>(ctx, x, y, bias, write, panel_of);
    }
  } else {
    if (x.cols() % 1024 == 0 && padded(8) <= padded(10)) {
      multiply_in_panels<8>(ctx, x, y, bias, write, panel_of);
    } else if (padded(10) <= std::min(padded(8), padded(6))) {
      multiply_in_panels<10>(ctx, x, y, bias, write, panel_of);
    } else if (padded(8) <= padded(6)) {
      multiply_in_panels<8>(ctx, x, y, bias, write, panel_of);
    } else {
      multiply_in_panels<6>(ctx, x, y, bias, write, panel_of);
    }
  }
}

}  // namespace detail

/// Whether row_products() may be called, and is worth it: a last panel that is not full costs as much
/// as a full one.
inline bool suits_row_products(Index rows, Index cols, Index inner) noexcept {
  using detail::panel_items;
  return rows >= 4 && inner % detail::lane_count == 0 &&
         (cols % panel_items == 0 || cols >= 8 * panel_items);
}

/// y = x w', or y += x w'.   x [rows, inner], w [cols, inner], y [rows, cols]
///
/// @tparam W    float, or BFloat16, which is widened a panel at a time
/// @param bias  [cols], added to every row; or null
///
/// A number of y does not depend on how many rows there are, nor on whether w was packed before.
///
/// @param packed  the panels of w, that of rows r … at r · inner; null: they are made here
///
/// Cost  rows · cols · inner multiply-adds; without `packed` w is transposed once for every 240 to 512
///       rows
template <class W>
void row_products(Context& ctx, MatrixArg<float> x, Matrix<const W> w, const float* packed,
                  Matrix<float> y, const float* bias, Write write) {
  if (packed != nullptr) {
    detail::multiply_in_panels(ctx, x, y, bias, write,
                               [&](Index column) { return packed + column * w.cols(); });
    return;
  }
  Arena::Scope scope(ctx.arena);
  float* const panel = ctx.take<float>(w.cols() * detail::panel_items).data();
  detail::multiply_in_panels(ctx, x, y, bias, write, [&](Index column) -> const float* {
    detail::pack_rows(w.row(column).data(), std::min(detail::panel_items, w.rows() - column),
                      w.cols(), panel);
    return panel;
  });
}

}  // namespace simgr::SIMGR_ABI::cpu
