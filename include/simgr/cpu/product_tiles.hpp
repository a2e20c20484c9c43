// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>
#include <utility>

#include <simgr/core/float_formats.hpp>
#include <simgr/core/view.hpp>
#include <simgr/cpu/unrolled.hpp>

// Products of many rows with many items, handed over tile by tile while they are in the first-level
// cache. The vectors are the compilers' portable ones (g++ and clang lower them to what the
// processor has); no intrinsics.

namespace simgr::SIMGR_ABI::cpu {

/// The score of a pair: summed in double in a fixed order (products of floats are exact there),
/// rounded once. The same bits on every machine, in every batch.
inline float exact_product(const float* a, const float* b, Index width) noexcept {
  double lane[8] = {};
  const Index whole = width / 8 * 8;
  for (Index j = 0; j < whole; j += 8) {
    for (Index l = 0; l < 8; ++l) {
      lane[l] += static_cast<double>(a[j + l]) * static_cast<double>(b[j + l]);
    }
  }
  for (Index j = whole; j < width; ++j) {
    lane[j - whole] += static_cast<double>(a[j]) * static_cast<double>(b[j]);
  }
  return static_cast<float>(((lane[0] + lane[4]) + (lane[2] + lane[6])) +
                            ((lane[1] + lane[5]) + (lane[3] + lane[7])));
}

/// A bound on |float product - exact_product| for any order of summation, from sums of squares:
///
///   width · 2^-24 · |a| · |b|, with room for the rounding of the bound itself
///
/// and a floor below which squares would underflow. Infinite or NaN where the product may be.
inline float product_margin(float a_squares, float b_squares, Index width) noexcept {
  constexpr float floor = 1e-30f;
  const float a = std::sqrt(a_squares < floor ? floor : a_squares);
  const float b = std::sqrt(b_squares < floor ? floor : b_squares);
  return static_cast<float>(width + 4) * 6.2e-8f * a * b + 1e-30f;
}

namespace detail {

#if defined(__clang__)  // which would halve the widest vectors otherwise
#pragma clang attribute push(__attribute__((min_vector_width(512))), apply_to = function)
#endif
#if defined(__AVX512F__)
inline constexpr Index lane_count = 16, block_rows = 12;
#elif defined(__AVX__)
inline constexpr Index lane_count = 8, block_rows = 6;
#else
inline constexpr Index lane_count = 4, block_rows = 6;
#endif
inline constexpr Index panel_items = 2 * lane_count;

/// One register of floats. Passed by reference only: by value its ABI depends on flags.
using Lanes = float __attribute__((vector_size(lane_count * sizeof(float))));

inline void load(Lanes& value, const float* memory) noexcept {
  std::memcpy(&value, memory, sizeof value);
}
inline void load(Lanes& value, const BFloat16* memory) noexcept {
  using Halves = std::uint16_t __attribute__((vector_size(lane_count * sizeof(std::uint16_t))));
  using Bits = std::uint32_t __attribute__((vector_size(lane_count * sizeof(std::uint32_t))));
  Halves halves;
  std::memcpy(&halves, memory, sizeof halves);
  const Bits bits = __builtin_convertvector(halves, Bits) << 16;
  std::memcpy(&value, &bits, sizeof value);
}
inline void load_part(Lanes& value, const float* memory, Index count) noexcept {
  value = Lanes{};
  std::memcpy(&value, memory, static_cast<std::size_t>(count) * sizeof(float));
}

/// low = a0 b0 a1 b1 … of the lower halves, high the same of the upper halves.
[[gnu::always_inline]] inline void interleave(const Lanes& a, const Lanes& b, Lanes& low,
                                              Lanes& high) noexcept {
  [&]<int... i>(std::integer_sequence<int, i...>) __attribute__((always_inline)) {
    constexpr int count = static_cast<int>(lane_count);
    low = __builtin_shufflevector(a, b, (i / 2 + i % 2 * count)...);
    high = __builtin_shufflevector(a, b, (count / 2 + i / 2 + i % 2 * count)...);
  }
  (std::make_integer_sequence<int, static_cast<int>(lane_count)>{});
}

/// Rows become columns: log2(lane_count) rounds of interleaving.
template <Index rounds = lane_count>
[[gnu::always_inline]] inline void transpose(Lanes (&block)[lane_count]) noexcept {
  if constexpr (rounds > 1) {
    constexpr Index half = lane_count / 2;
    Lanes next[lane_count];
    unrolled<half>(
        [&](auto i) { interleave(block[i], block[i + half], next[2 * i], next[2 * i + 1]); });
    transpose<rounds / 2>(next);
    unrolled<lane_count>([&](auto i) { block[i] = next[i]; });
  }
}

/// block[0] = the sums over lanes: lane i that of block[i].
template <Index blocks = lane_count>
[[gnu::always_inline]] inline void sum_lanes(Lanes (&block)[lane_count]) noexcept {
  if constexpr (blocks > 1) {
    constexpr Index half = blocks / 2;
    unrolled<half>([&](auto i) {
      Lanes low, high;
      interleave(block[i], block[i + half], low, high);
      block[i] = low + high;
    });
    sum_lanes<half>(block);
  }
}

inline float largest_lane(const Lanes& value) noexcept {
  float largest = 0;
  for (Index i = 0; i < lane_count; ++i) {
    largest = value[i] <= largest ? largest : value[i];  // NaN comes through
  }
  return largest;
}

/// Items as columns: packed[j · panel_items + i] = items[i][j], zero beyond `count`. Returns the
/// largest sum of squares of an item.
inline float pack_panel(const float* items, Index count, Index width, float* packed) noexcept {
  Lanes squares[2] = {};
  for (Index part = 0; part < 2; ++part) {
    const float* rows = items + part * lane_count * width;
    const Index here = std::clamp<Index>(count - part * lane_count, 0, lane_count);
    for (Index j = 0; j < width; j += lane_count) {
      const Index columns = std::min(lane_count, width - j);
      Lanes block[lane_count];
      if (here == lane_count && columns == lane_count) {
        unrolled<lane_count>([&](auto i) { load(block[i], rows + i * width + j); });
      } else {
        unrolled<lane_count>([&](auto i) {
          load_part(block[i], i < here ? rows + i * width + j : rows, i < here ? columns : 0);
        });
      }
      transpose(block);
      float* to = packed + j * panel_items + part * lane_count;
      unrolled<lane_count>([&](auto i) {
        squares[part] += block[i] * block[i];  // columns beyond the width are zero
        if (i < columns) {
          std::memcpy(to + i * panel_items, &block[i], sizeof(Lanes));
        }
      });
    }
  }
  const float first = largest_lane(squares[0]), second = largest_lane(squares[1]);
  return second <= first ? first : second;
}

/// out[row · stride + item] = rows · panel for block_rows rows, packed as [width, block_rows].
inline void multiply_panel(const float* rows, const float* panel, Index width, float* out,
                           Index stride) noexcept {
  Lanes first[block_rows] = {}, second[block_rows] = {};
  for (Index j = 0; j < width; ++j) {
    Lanes a, b;
    load(a, panel + j * panel_items);
    load(b, panel + j * panel_items + lane_count);
    const float* column = rows + j * block_rows;
    unrolled<block_rows>([&](auto r) {
      first[r] += column[r] * a;
      second[r] += column[r] * b;
    });
  }
  unrolled<block_rows>([&](auto r) {
    std::memcpy(out + r * stride, &first[r], sizeof(Lanes));
    std::memcpy(out + r * stride + lane_count, &second[r], sizeof(Lanes));
  });
}

/// out[i] = row · items[i]; returns a bound on the sum of squares of any item. Two items at a time
/// share what is loaded of the row; more side by side fetch at two thirds of the speed of memory.
/// The processor's own prefetching is faster here than what was tried by hand.
inline float multiply_row(const float* row, const float* items, Index count, Index width,
                          float* out) noexcept {
  constexpr Index step = 4 * lane_count, beside = 2;
  Lanes squares[beside] = {};
  for (Index first = 0; first < count; first += lane_count) {
    const Index here = std::min(lane_count, count - first);
    Lanes sums[lane_count];
    for (Index i = 0; i < lane_count; i += beside) {
      const float* item[beside];  // beyond the last item: the last, to no effect
      Lanes part[beside] = {};
      unrolled<beside>(
          [&](auto b) { item[b] = items + (first + std::min(i + b, here - 1)) * width; });
      const auto add = [&](Index j, Index columns) __attribute__((always_inline)) {
        Lanes x;
        columns == lane_count ? load(x, row + j) : load_part(x, row + j, columns);
        unrolled<beside>([&](auto b) {
          Lanes y;
          columns == lane_count ? load(y, item[b] + j) : load_part(y, item[b] + j, columns);
          part[b] += x * y;
          squares[b] += y * y;
        });
      };
      Index j = 0;
      for (; j + step <= width; j += step) {
        unrolled<4>([&](auto l) { add(j + l * lane_count, lane_count); });
      }
      for (; j < width; j += lane_count) { add(j, std::min(lane_count, width - j)); }
      unrolled<beside>([&](auto b) { sums[i + b] = part[b]; });
    }
    sum_lanes(sums);
    std::memcpy(out + first, &sums[0], static_cast<std::size_t>(here) * sizeof(float));
  }
  const Lanes all = squares[0] + squares[1];
  float sum = 0;
  for (Index i = 0; i < lane_count; ++i) { sum += all[i]; }
  return sum;
}

#if defined(__clang__)
#pragma clang attribute pop
#endif

inline float sum_of_squares(const float* row, Index width) noexcept {
  float sum = 0;
  for (Index j = 0; j < width; ++j) { sum += row[j] * row[j]; }
  return sum;
}

/// Rows of a tile: their packed form stays in the second-level cache.
inline constexpr Index tile_rows = 264;
/// Up to this many rows, each is multiplied alone: packing the items would not pay.
inline constexpr Index few_rows = 3;

/// Items of a tile: packed, about 128 KiB.
inline Index tile_items(Index width) noexcept {
  return std::clamp(32768 / std::max<Index>(width, 1) / panel_items, Index{1}, Index{16}) *
         panel_items;
}
inline Index padded_rows(Index rows) noexcept {
  return (std::min(rows, tile_rows) + block_rows - 1) / block_rows * block_rows;
}

}  // namespace detail

/// Scratch of one visit_product_tiles, in floats.
inline Index product_scratch(Index rows, Index width) noexcept {
  using namespace detail;
  return padded_rows(rows) * (width + 1) + (width + block_rows) * tile_items(width) + 16;
}

/// The float products of queries and candidates, tile by tile: calls
///
///   visit(row, first_item, scores, margin)
///
/// for every row of every tile, where `scores` are the products with candidates first_item … and
/// differ from exact_product by at most `margin`. The tiles of one row come in the order of items.
///
/// Shapes  queries [rows, width];  candidates [items, width];
///         scratch [product_scratch(rows, width)]
/// Cost    rows · items · width multiply-adds; each candidate is read from memory once for every
///         264 rows
template <class Visit>
void visit_product_tiles(MatrixArg<float> queries, MatrixArg<float> candidates,
                         std::span<float> scratch, Visit&& visit) {
  using namespace detail;
  const Index width = queries.cols(), items = candidates.rows(), step = tile_items(width);
  const auto misplaced = reinterpret_cast<std::uintptr_t>(scratch.data()) % 64 / sizeof(float);
  float* const packed = scratch.data() + (misplaced == 0 ? 0 : 16 - misplaced);
  float* const scores = packed + width * step;
  float* const squares = scores + block_rows * step;
  float* const blocks = squares + padded_rows(queries.rows());
  const auto hand_over = [&](Index row, Index item, const float* found, Index count, float margin) {
    visit(row, item, std::span<const float>(found, static_cast<std::size_t>(count)), margin);
  };
  for (Index row = 0; row < queries.rows(); row += tile_rows) {
    const Index rows = std::min(tile_rows, queries.rows() - row);
    const float* part = queries.data() + row * width;
    const bool few = rows <= few_rows;
    for (Index i = 0; i < padded_rows(rows); ++i) {
      squares[i] = i < rows ? sum_of_squares(part + i * width, width) : 0;
      for (Index j = 0; j < width && !few; ++j) {
        blocks[i / block_rows * block_rows * width + j * block_rows + i % block_rows] =
            i < rows ? part[i * width + j] : 0;
      }
    }
    for (Index item = 0; item < items; item += step) {
      const Index count = std::min(step, items - item);
      const float* const tile = candidates.data() + item * width;
      if (few) {
        for (Index i = 0; i < rows; ++i) {
          const float largest = multiply_row(part + i * width, tile, count, width, scores);
          hand_over(row + i, item, scores, count, product_margin(squares[i], largest, width));
        }
        continue;
      }
      float largest = 0;
      for (Index first = 0; first < count; first += panel_items) {
        const float found = pack_panel(tile + first * width, std::min(panel_items, count - first),
                                       width, packed + first * width);
        largest = found <= largest ? largest : found;
      }
      for (Index block = 0; block < rows; block += block_rows) {
        for (Index first = 0; first < count; first += panel_items) {
          multiply_panel(blocks + block * width, packed + first * width, width, scores + first,
                         step);
        }
        for (Index i = 0; i < std::min(block_rows, rows - block); ++i) {
          hand_over(row + block + i, item, scores + i * step, count,
                    product_margin(squares[block + i], largest, width));
        }
      }
    }
  }
}

}  // namespace simgr::SIMGR_ABI::cpu
