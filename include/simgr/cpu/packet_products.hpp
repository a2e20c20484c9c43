// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include <simgr/core/float_formats.hpp>
#include <simgr/core/types.hpp>
#include <simgr/cpu/eigen.hpp>
#include <simgr/cpu/unrolled.hpp>

// Products with an extent of a few dozen, on Eigen's packets: too short for the packing that general
// products do first.

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wignored-attributes"  // packets as template arguments

namespace simgr::SIMGR_ABI::cpu::detail {

namespace packet = Eigen::internal;

/// f.template operator()<M>(first row) over `rows` rows in groups of M, then one at a time.
template <int M, class F>
void in_row_groups(Index rows, F&& f) {
  Index r = 0;
  for (; r + M <= rows; r += M) { f.template operator()<M>(r); }
  for (; r < rows; ++r) { f.template operator()<1>(r); }
}

template <class T>
struct PacketProducts {
  using Packet = typename packet::packet_traits<T>::type;
  static constexpr int lanes = packet::packet_traits<T>::size;
  static constexpr bool many_registers = sizeof(Packet) == 64;
  static constexpr int sum_rows = many_registers ? 6 : 3;  // times 4 packets of sums
  static constexpr int sum_packets = 4;

  static Packet load(const T* from) { return packet::ploadu<Packet>(from); }
  static void store(T* to, const Packet& value) { packet::pstoreu(to, value); }
  static Packet splat(T value) { return packet::pset1<Packet>(value); }

  /// y(i, ·) += Σ_j a(i, j) b(j, ·) for M rows i and C packets of columns; a(i, j) stands at
  /// i · a_row + j · a_step, rows of b and y stand b_row and y_row apart.
  template <int M, int C>
  static void add_products(const T* a, Index a_row, Index a_step, const T* b, Index b_row,
                           Index count, T* y, Index y_row, Write write = Write::add) {
    Packet sum[M * C];
    over_block<M, C>([&](Index i, Index c) __attribute__((always_inline)) {
      sum[i * C + c] = write == Write::add ? load(y + i * y_row + c * lanes) : splat(T(0));
    });
    for (Index j = 0; j < count; ++j) {
      Packet right[C];
      unrolled<C>([&](Index c) __attribute__((always_inline)) {
        right[c] = load(b + j * b_row + c * lanes);
      });
      unrolled<M>([&](Index i) __attribute__((always_inline)) {
        const Packet left = splat(a[i * a_row + j * a_step]);
        unrolled<C>([&](Index c) __attribute__((always_inline)) {
          sum[i * C + c] = packet::pmadd(left, right[c], sum[i * C + c]);
        });
      });
    }
    over_block<M, C>([&](Index i, Index c) __attribute__((always_inline)) {
      store(y + i * y_row + c * lanes, sum[i * C + c]);
    });
  }
  /// The same for any number of columns that is a multiple of a packet.
  template <int M>
  static void add_products(const T* a, Index a_row, Index a_step, const T* b, Index b_row,
                           Index count, T* y, Index y_row, Index cols) {
    Index c = 0;
    for (; c + sum_packets * lanes <= cols; c += sum_packets * lanes) {
      add_products<M, sum_packets>(a, a_row, a_step, b + c, b_row, count, y + c, y_row);
    }
    for (; c < cols; c += lanes) {
      add_products<M, 1>(a, a_row, a_step, b + c, b_row, count, y + c, y_row);
    }
  }

  /// y(i, ·) = or += Σ_j a(i, j) b(j, ·) for any number of rows, where `cols` is a multiple of a
  /// packet; b(j, c) stands at j · b_step + c · b_col, as T or as BFloat16. A block of b is copied to
  /// the first cache, widened and turned round where it must be, and all rows pass by it. The sum of
  /// an element has the same order whatever the number of rows.
  template <class B>
  static void add_products(const T* a, Index a_row, Index a_step, const B* b, Index b_step,
                           Index b_col, Index rows, Index inner, Index cols, T* y, Write write) {
    constexpr Index most = 384 / static_cast<Index>(sizeof(T)), wide = sum_packets * lanes;
    alignas(64) T block[most * wide];
    const Index parts = std::max(Index{1}, (inner + most - 1) / most);
    for (Index part = 0; part < parts; ++part) {
      const Index from = inner * part / parts, some = inner * (part + 1) / parts - from;
      const Write how = part == 0 ? write : Write::add;
      for (Index c = 0; c < cols; c += wide) {
        const Index here = std::min(wide, cols - c);
        const B* const corner = b + from * b_step + c * b_col;
        for (Index j = 0; j < some; ++j) {
          for (Index i = 0; i < here; ++i) {
            block[j * wide + i] = widened(corner[j * b_step + i * b_col]);
          }
        }
        in_row_groups<sum_rows>(rows, [&]<int M>(Index r) {
          const T* const left = a + r * a_row + from * a_step;
          T* const to = y + r * cols + c;
          if (here == wide) {
            add_products<M, sum_packets>(left, a_row, a_step, block, wide, some, to, cols, how);
            return;
          }
          for (Index i = 0; i < here; i += lanes) {
            add_products<M, 1>(left, a_row, a_step, block + i, wide, some, to + i, cols, how);
          }
        });
      }
    }
  }
};

}  // namespace simgr::SIMGR_ABI::cpu::detail

#pragma GCC diagnostic pop
