// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

#include <simgr/core/types.hpp>
#include <simgr/cpu/context.hpp>
#include <simgr/cpu/product_tiles.hpp>

#if SIMGR_HAS_TILES
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

// Float products on the tiles of Intel's AMX: what is multiplied is rounded to bfloat16, or split in
// two bfloat16 each, and the sums are floats. For training, where a Context asks for it.

namespace simgr::SIMGR_ABI::cpu {

#if SIMGR_HAS_TILES

/// Whether this program was compiled for tiles and the system lets this process use them.
inline bool has_tiles() noexcept {
  constexpr long ask_permission = 0x1023, tile_data = 18;
  static const bool granted = ::syscall(SYS_arch_prctl, ask_permission, tile_data) == 0;
  return granted;
}

namespace detail {

#if defined(__clang__)  // which would halve the widest vectors otherwise
#pragma clang attribute push(__attribute__((min_vector_width(512))), apply_to = function)
#endif

/// A block of a factor as tiles: 16 rows of 32 bfloat16, which of the right factor are 16 pairs of
/// neighbours in the sum by 16 columns.
struct TileProducts {
  static constexpr Index side = 16, depth = 32, tile = side * depth;  // numbers
  static constexpr Index most_rows = 256, most_inner = 1024, most_cols = 1024;

  using Number = std::uint16_t;

  using Numbers = Number __attribute__((vector_size(2 * side * sizeof(Number))));
  using Halves = Number __attribute__((vector_size(side * sizeof(Number))));
  using Bits = std::uint32_t __attribute__((vector_size(side * sizeof(std::uint32_t))));

  static constexpr auto places = std::make_integer_sequence<int, side>{};
  static constexpr auto all_places = std::make_integer_sequence<int, 2 * side>{};

  /// x less the bfloat16 numbers, from `first` on, that it was rounded to.
  template <int first>
  static void subtract(Lanes& x, const Numbers& rounded) noexcept {
    const Halves own = [&]<int... i>(std::integer_sequence<int, i...>) {
      return __builtin_shufflevector(rounded, rounded, (first + i)...);
    }
    (places);
    const Bits wide = __builtin_convertvector(own, Bits) << 16;
    Lanes taken;
    std::memcpy(&taken, &wide, sizeof taken);
    x -= taken;
  }
  /// to = 16 numbers of `low` and 16 of `high`, as bfloat16.
  static void round(const Lanes& low, const Lanes& high, Numbers& to) noexcept {
    __m512 of_low, of_high;
    std::memcpy(&of_low, &low, sizeof low);
    std::memcpy(&of_high, &high, sizeof high);
    const __m512bh both = _mm512_cvtne2ps_pbh(of_high, of_low);
    std::memcpy(&to, &both, sizeof both);
  }
  /// to = pairs of bfloat16, as lanes: of `low` in the lower halves, of `high` in the upper. What is
  /// lost of each is left in its place, unless nobody asks for it.
  template <bool last>
  static void pairs(Lanes& low, Lanes& high, Lanes& to) noexcept {
    Numbers numbers;
    round(low, high, numbers);
    if constexpr (!last) {
      subtract<0>(low, numbers);
      subtract<side>(high, numbers);
    }
    const Numbers result = [&]<int... i>(std::integer_sequence<int, i...>) {
      return __builtin_shufflevector(numbers, numbers, (i / 2 + i % 2 * side)...);
    }
    (all_places);
    std::memcpy(&to, &result, sizeof to);
  }
  template <int terms>
  static void add_pairs(Lanes& low, Lanes& high, Lanes (&block)[terms][side], Index at) noexcept {
    pairs<terms == 1>(low, high, block[0][at]);
    if constexpr (terms == 2) {
      pairs<true>(low, high, block[1][at]);
    }
  }

  /// x(i, j) at i · stride + j, for 16 i and 32 j, of which `rows` and `count` are there: `terms` tiles
  /// to[term · apart …] of what is left of the numbers after the terms before.
  template <int terms>
  static void pack_along(const float* x, Index stride, Index rows, Index count, bool turned,
                         Number* to, Index apart) noexcept {
    const Index first = std::min(count, side), second = std::min(count - first, side);
    Lanes block[terms][side];
    for (Index i = 0; i < side; ++i) {
      const float* const row = x + i * stride;
      Lanes a = {}, b = {};
      if (i < rows) {
        load_some(a, row, first);
        load_some(b, row + side, second);
      }
      Lanes low, high;
      [&]<int... l>(std::integer_sequence<int, l...>) {
        low = __builtin_shufflevector(a, b, (2 * l)...);
        high = __builtin_shufflevector(a, b, (2 * l + 1)...);
      }
      (places);
      add_pairs<terms>(low, high, block, i);
    }
    for (int term = 0; term < terms; ++term) { keep(block[term], turned, to + term * apart); }
  }
  /// The same of x(i, j) at j · stride + i.
  template <int terms>
  static void pack_across(const float* x, Index stride, Index rows, Index count, bool turned,
                          Number* to, Index apart) noexcept {
    Lanes block[terms][side];
    for (Index p = 0; p < side; ++p) {
      Lanes low = {}, high = {};
      load_some(low, x + 2 * p * stride, 2 * p < count ? rows : 0);
      load_some(high, x + (2 * p + 1) * stride, 2 * p + 1 < count ? rows : 0);
      add_pairs<terms>(low, high, block, p);
    }
    for (int term = 0; term < terms; ++term) { keep(block[term], !turned, to + term * apart); }
  }
  static void load_some(Lanes& value, const float* memory, Index count) noexcept {
    if (count == side) {
      load(value, memory);
    } else if (count > 0) {
      load_part(value, memory, count);
    }
  }
  static void keep(Lanes (&block)[side], bool turned, Number* to) noexcept {
    if (turned) {
      transpose(block);
    }
    for (Index i = 0; i < side; ++i) { std::memcpy(to + i * depth, &block[i], sizeof block[i]); }
  }

  /// Tiles as they are used here, from begin to end.
  static void begin() noexcept {
    struct alignas(64) Setting {
      std::uint8_t palette = 1, start = 0, reserved[14] = {};
      std::uint16_t bytes[16] = {};
      std::uint8_t rows[16] = {};
    } setting;
    std::fill(setting.bytes, setting.bytes + 8, std::uint16_t{64});
    std::fill(setting.rows, setting.rows + 8, std::uint8_t{16});
    _tile_loadconfig(&setting);
  }
  static void end() noexcept { _tile_release(); }

  /// y, 32 by 32 numbers, = or += left · right over `steps` tiles each; tiles of a term stand together.
  template <int terms>
  static void multiply(const Number* left, Index left_side, Index left_term, const Number* right,
                       Index right_side, Index right_term, Index steps, float* y, Index y_row,
                       Write write) noexcept {
    const auto stride = static_cast<long>(y_row) * 4;
    if (write == Write::add) {
      _tile_loadd(0, y, stride);
      _tile_loadd(1, y + side, stride);
      _tile_loadd(2, y + side * y_row, stride);
      _tile_loadd(3, y + side * y_row + side, stride);
    } else {
      _tile_zero(0);
      _tile_zero(1);
      _tile_zero(2);
      _tile_zero(3);
    }
    for (int sum = 0; sum < (terms == 1 ? 1 : 3); ++sum) {
      const Number* a = left + (sum == 1 ? left_term : 0);
      const Number* b = right + (sum == 2 ? right_term : 0);
      for (Index k = 0; k < steps; ++k, a += tile, b += tile) {
        _tile_loadd(4, a, 64);
        _tile_loadd(6, b, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(7, b + right_side, 64);
        _tile_dpbf16ps(1, 4, 7);
        _tile_loadd(5, a + left_side, 64);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
      }
    }
    _tile_stored(0, y, stride);
    _tile_stored(1, y + side, stride);
    _tile_stored(2, y + side * y_row, stride);
    _tile_stored(3, y + side * y_row + side, stride);
  }

  /// y(i, ·) = or += Σ_j a(i, j) b(j, ·); a(i, j) stands at i · a_row + j · a_step, b(j, c) at
  /// j · b_step + c · b_col, and one of each two is 1. Rows of y follow each other.
  template <int terms>
  static void add_products(Context& ctx, const float* a, Index a_row, Index a_step, const float* b,
                           Index b_step, Index b_col, Index rows, Index inner, Index cols, float* y,
                           Write write) noexcept {
    Arena::Scope scope(ctx.arena);
    const auto up = [](Index count, Index to) { return (count + to - 1) / to * to; };
    const Index tall = up(std::min(rows, most_rows), 2 * side),
                wide = up(std::min(cols, most_cols), 2 * side),
                deep = up(std::min(inner, most_inner), depth);
    Number* const left = ctx.take<Number>(terms * tall * deep).data();
    Number* const right = ctx.take<Number>(terms * wide * deep).data();
    alignas(64) float corner[4 * side * side];
    begin();
    for (Index from = 0; from < inner; from += most_inner) {
      const Index some = std::min(most_inner, inner - from), steps = up(some, depth) / depth;
      const Write how = from == 0 ? write : Write::add;
      for (Index c = 0; c < cols; c += most_cols) {
        const Index here = std::min(most_cols, cols - c);
        pack<terms>(b + from * b_step + c * b_col, b_col, b_step, here, some, true, right,
                    wide * deep);
        for (Index r = 0; r < rows; r += most_rows) {
          const Index part = std::min(most_rows, rows - r);
          pack<terms>(a + r * a_row + from * a_step, a_row, a_step, part, some, false, left,
                      tall * deep);
          for (Index j = 0; j < here; j += 2 * side) {
            for (Index i = 0; i < part; i += 2 * side) {
              float* const to = y + (r + i) * cols + c + j;
              const bool whole = i + 2 * side <= part && j + 2 * side <= here;
              if (whole && how == Write::assign) {
                // Without it the stores wait for memory: up to twice as long.
                for (Index l = 0; l < 2 * side; ++l) {
                  __builtin_prefetch(to + l * cols, 1);
                  __builtin_prefetch(to + l * cols + side, 1);
                }
              }
              if (!whole && how == Write::add) {
                move_corner(to, cols, part - i, here - j, corner, true);
              }
              multiply<terms>(left + i * steps * depth, side * steps * depth, tall * deep,
                              right + j * steps * depth, side * steps * depth, wide * deep, steps,
                              whole ? to : corner, whole ? cols : 2 * side, how);
              if (!whole) {
                move_corner(to, cols, part - i, here - j, corner, false);
              }
            }
          }
        }
      }
    }
    end();
  }

  /// Tiles of 32 rows more or less: those of 16 rows follow each other along the sum.
  template <int terms>
  static void pack(const float* x, Index row, Index step, Index rows, Index count, bool turned,
                   Number* to, Index apart) noexcept {
    const Index steps = (count + depth - 1) / depth,
                tall = (rows + 2 * side - 1) / (2 * side) * 2 * side;
    const auto at = [&](Index i, Index k) {
      const Index there = std::clamp<Index>(rows - i, 0, side), left = count - k * depth;
      const float* const from = x + i * row + k * depth * step;
      Number* const here = to + (i * steps + k * side) * depth;
      if (step == 1) {
        pack_along<terms>(from, row, there, left, turned, here, apart);
      } else {
        pack_across<terms>(from, step, there, left, turned, here, apart);
      }
    };
    if (step == 1) {  // in the order of memory
      for (Index i = 0; i < tall; i += side) {
        for (Index k = 0; k < steps; ++k) { at(i, k); }
      }
    } else {
      for (Index k = 0; k < steps; ++k) {
        for (Index i = 0; i < tall; i += side) { at(i, k); }
      }
    }
  }

private:
  /// What there is of a block of 32 by 32, to or from where it is whole.
  static void move_corner(float* y, Index y_row, Index rows, Index cols, float* corner,
                          bool there) noexcept {
    for (Index i = 0; i < std::min<Index>(rows, 2 * side); ++i) {
      const auto bytes = static_cast<std::size_t>(std::min<Index>(cols, 2 * side)) * sizeof(float);
      float *from = y + i * y_row, *to = corner + i * 2 * side;
      std::memcpy(there ? to : from, there ? from : to, bytes);
    }
  }
};

#if defined(__clang__)
#pragma clang attribute pop
#endif

}  // namespace detail

#else

inline bool has_tiles() noexcept {
  return false;
}

#endif

/// Computes a product on tiles where the Context asks for it, the processor has them and it is large
/// enough; strides as in TileProducts.   -> whether it did
inline bool by_tiles([[maybe_unused]] Context& ctx, [[maybe_unused]] const float* a,
                     [[maybe_unused]] Index a_row, [[maybe_unused]] Index a_step,
                     [[maybe_unused]] const float* b, [[maybe_unused]] Index b_step,
                     [[maybe_unused]] Index b_col, [[maybe_unused]] Index rows,
                     [[maybe_unused]] Index inner, [[maybe_unused]] Index cols,
                     [[maybe_unused]] float* y, [[maybe_unused]] Write write) noexcept {
#if SIMGR_HAS_TILES
  constexpr Index least = 16;
  if (ctx.matmul == MatMul::fp32 || std::min({rows, inner, cols}) < least || !has_tiles()) {
    return false;
  }
  const auto multiply = ctx.matmul == MatMul::bf16 ? detail::TileProducts::add_products<1>
                                                   : detail::TileProducts::add_products<2>;
  multiply(ctx, a, a_row, a_step, b, b_step, b_col, rows, inner, cols, y, write);
  return true;
#else
  return false;
#endif
}

}  // namespace simgr::SIMGR_ABI::cpu
