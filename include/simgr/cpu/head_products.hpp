// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstring>
#include <type_traits>

#include <simgr/cpu/context.hpp>
#include <simgr/cpu/eigen.hpp>
#include <simgr/cpu/packet_products.hpp>
#include <simgr/cpu/product_tiles.hpp>

// The products of a head of attention, of some dozens of rows, keys and numbers each. Their rows stand
// apart, as heads share rows; a general product would copy both sides first. On tiles (AMX) they take as
// long at 32 and 80 rows of 64 and 1.5 times as long at 16 and 24: what they wait for is memory.

namespace simgr::SIMGR_ABI::cpu::detail {

/// Rows of a head: number j of row i stands at data + i · stride + j · step; one of both is 1.
template <class T>
struct HeadRows {
  T* data;
  Index stride;
  Index step = 1;

  HeadRows transposed() const noexcept { return {data, step, stride}; }
};

template <class T>
struct HeadProducts {
  using Packets = PacketProducts<T>;
  static constexpr int packets = 4;
  // 20 and 80 rows are fours of fives: what a beam and a history of 20 items have. Of 16 registers six
  // rows by two packets, as PacketProducts has them, made exact scores a tenth slower (Zen 3).
  static constexpr int together = Packets::many_registers ? 5 : 3;

  /// So many columns or more, as whole packets.
  static constexpr Index padded(Index cols) noexcept {
    return (cols + Packets::lanes - 1) / Packets::lanes * Packets::lanes;
  }

  /// y(i, ·) = or += Σ_j a(i, j) b(j, ·).   a [rows, inner], b [inner, cols], y [rows, cols]; steps of b
  /// and y are 1
  static void multiply(HeadRows<const T> a, HeadRows<const T> b, HeadRows<T> y, Index rows,
                       Index inner, Index cols, Write write = Write::assign) {
    if (cols % Packets::lanes != 0) {
      multiply_any(a, b, y, rows, inner, cols, write);
      return;
    }
    Index r = 0;
    for (; r + together <= rows; r += together) { group<together>(a, b, y, r, inner, cols, write); }
    for (; r + 2 <= rows; r += 2) { group<2>(a, b, y, r, inner, cols, write); }
    for (; r < rows; ++r) { group<1>(a, b, y, r, inner, cols, write); }
  }

  /// to(j, i) = from(i, j) for `rows` rows of `cols` numbers, 0 for padded(rows) - rows more.
  ///   to [cols, padded(rows)]
  static void turn(HeadRows<const T> from, Index rows, Index cols, T* to) noexcept {
    const Index wide = padded(rows);
    if constexpr (std::is_same_v<T, float> && Packets::lanes == lane_count) {
      if (cols % lane_count == 0) {
        for (Index i = 0; i < rows; i += lane_count) {
          for (Index j = 0; j < cols; j += lane_count) {
            Lanes block[lane_count] = {};
            const auto take = [&](Index l) __attribute__((always_inline)) {
              load(block[l], from.data + (i + l) * from.stride + j);
            };
            if (rows - i >= lane_count) {
              unrolled<lane_count>(take);
            } else {
              for (Index l = 0; l < rows - i; ++l) { take(l); }
            }
            transpose(block);
            unrolled<lane_count>(
                [&](auto l) { std::memcpy(to + (j + l) * wide + i, &block[l], sizeof(Lanes)); });
          }
        }
        return;
      }
    }
    for (Index j = 0; j < cols; ++j) {
      for (Index i = 0; i < rows; ++i) { to[j * wide + i] = from.data[i * from.stride + j]; }
      std::fill(to + j * wide + rows, to + (j + 1) * wide, T(0));
    }
  }

  /// y(i, j) = Σ a(i, ·) b(j, ·).   a [rows, inner], b [cols, inner], y [rows, cols], its rows one after
  /// the other
  static void multiply_pairs(Context& ctx, HeadRows<const T> a, HeadRows<const T> b, T* y,
                             Index rows, Index inner, Index cols) {
    Arena::Scope scope(ctx.arena);
    const Index wide = padded(cols);
    T* const turned = ctx.take<T>(inner * wide).data();
    turn(b, cols, inner, turned);
    if (wide == cols) {
      multiply(a, {turned, wide}, {y, wide}, rows, inner, wide);
      return;
    }
    T* const all = ctx.take<T>(rows * wide).data();
    multiply(a, {turned, wide}, {all, wide}, rows, inner, wide);
    for (Index i = 0; i < rows; ++i) { std::copy_n(all + i * wide, cols, y + i * cols); }
  }

private:
  template <int M>
  static void group(HeadRows<const T> a, HeadRows<const T> b, HeadRows<T> y, Index r, Index inner,
                    Index cols, Write write) {
    constexpr Index one = Packets::lanes;
    const auto columns = [&]<int C>(Index c) {
      Packets::template add_products<M, C>(a.data + r * a.stride, a.stride, a.step, b.data + c,
                                           b.stride, inner, y.data + r * y.stride + c, y.stride,
                                           write);
    };
    Index c = 0;
    for (; c + packets * one <= cols; c += packets * one) {
      columns.template operator()<packets>(c);
    }
    for (; c + 2 * one <= cols; c += 2 * one) { columns.template operator()<2>(c); }
    for (; c < cols; c += one) { columns.template operator()<1>(c); }
  }

  /// Of widths that are no whole packets.
  static void multiply_any(HeadRows<const T> a, HeadRows<const T> b, HeadRows<T> y, Index rows,
                           Index inner, Index cols, Write write) {
    using Rows = Eigen::Map<const EigenMatrix<T>, 0, Eigen::OuterStride<>>;
    const auto by = [&](const auto& left) {
      const Rows right(b.data, inner, cols, Eigen::OuterStride<>(b.stride));
      Eigen::Map<EigenMatrix<T>, 0, Eigen::OuterStride<>> to(y.data, rows, cols,
                                                             Eigen::OuterStride<>(y.stride));
      if (write == Write::assign) {
        to.noalias() = left * right;
      } else {
        to.noalias() += left * right;
      }
    };
    if (a.step == 1) {
      by(Rows(a.data, rows, inner, Eigen::OuterStride<>(a.stride)));
    } else {
      by(Rows(a.data, inner, rows, Eigen::OuterStride<>(a.step)).transpose());
    }
  }
};

}  // namespace simgr::SIMGR_ABI::cpu::detail
