// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstring>
#include <type_traits>

#include <simgr/cpu/context.hpp>
#include <simgr/cpu/packet_products.hpp>
#include <simgr/cpu/product_tiles.hpp>

// The two products of a head of attention, of some dozens of rows, keys and numbers each. Their rows
// stand apart, as heads share rows; a general product would copy both sides first.

namespace simgr::SIMGR_ABI::cpu::detail {

/// Rows of a head: row i begins at data + i · stride.
template <class T>
struct HeadRows {
  T* data;
  Index stride;
};

template <class T>
struct HeadProducts {
  using Packets = PacketProducts<T>;
  static constexpr int packets = Packets::sum_packets;
  // 20 and 80 rows are fours of fives: what a beam and a history of 20 items have.
  static constexpr int together = Packets::many_registers ? 5 : Packets::sum_rows;

  /// Whether multiply() takes so many columns.
  static constexpr bool suits(Index cols) noexcept { return cols % Packets::lanes == 0; }

  /// y(i, ·) = Σ_j a(i, j) b(j, ·).   a [rows, inner], b [inner, cols], y [rows, cols]
  static void multiply(HeadRows<const T> a, HeadRows<const T> b, HeadRows<T> y, Index rows,
                       Index inner, Index cols) {
    Index r = 0;
    for (; r + together <= rows; r += together) { group<together>(a, b, y, r, inner, cols); }
    for (; r + 2 <= rows; r += 2) { group<2>(a, b, y, r, inner, cols); }
    for (; r < rows; ++r) { group<1>(a, b, y, r, inner, cols); }
  }

  /// Whether turn() takes this shape.
  static constexpr bool turns(Index rows, Index cols) noexcept {
    return std::is_same_v<T, float> && rows % lane_count == 0 && cols % lane_count == 0;
  }
  /// to(j, i) = from(i, j) for `rows` rows of `cols` numbers.
  static void turn(HeadRows<const T> from, Index rows, Index cols, T* to) noexcept {
    if constexpr (std::is_same_v<T, float>) {
      for (Index i = 0; i < rows; i += lane_count) {
        for (Index j = 0; j < cols; j += lane_count) {
          Lanes block[lane_count];
          unrolled<lane_count>(
              [&](auto l) { load(block[l], from.data + (i + l) * from.stride + j); });
          transpose(block);
          unrolled<lane_count>(
              [&](auto l) { std::memcpy(to + (j + l) * rows + i, &block[l], sizeof(Lanes)); });
        }
      }
    }
  }

private:
  template <int M>
  static void group(HeadRows<const T> a, HeadRows<const T> b, HeadRows<T> y, Index r, Index inner,
                    Index cols) {
    constexpr Index one = Packets::lanes;
    const auto columns = [&]<int C>(Index c) {
      Packets::template add_products<M, C>(a.data + r * a.stride, a.stride, 1, b.data + c, b.stride,
                                           inner, y.data + r * y.stride + c, y.stride,
                                           Write::assign);
    };
    Index c = 0;
    for (; c + packets * one <= cols; c += packets * one) {
      columns.template operator()<packets>(c);
    }
    for (; c + 2 * one <= cols; c += 2 * one) { columns.template operator()<2>(c); }
    for (; c < cols; c += one) { columns.template operator()<1>(c); }
  }
};

}  // namespace simgr::SIMGR_ABI::cpu::detail
