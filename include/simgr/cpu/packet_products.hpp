// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstring>
#include <type_traits>

#include <simgr/core/float_formats.hpp>
#include <simgr/core/types.hpp>
#include <simgr/cpu/context.hpp>
#include <simgr/cpu/eigen.hpp>
#include <simgr/cpu/row_passes.hpp>
#include <simgr/cpu/unrolled.hpp>

// Products with an extent of a few dozen, on Eigen's packets: too short for the packing that general
// products do first.

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wignored-attributes"  // packets as template arguments

namespace simgr::SIMGR_ABI::cpu::detail {

namespace packet = Eigen::internal;

/// f.template operator()<M>(first row) over `rows` rows in groups of M, then of half as many, then
/// one at a time.
template <int M, class F>
void in_row_groups(Index rows, F&& f) {
  static_assert(M > 1);
  Index r = 0;
  for (; r + M <= rows; r += M) { f.template operator()<M>(r); }
  for (; r + M / 2 <= rows; r += M / 2) { f.template operator()<M / 2>(r); }
  for (; r < rows; ++r) { f.template operator()<1>(r); }
}

template <class T>
struct PacketProducts {
  using Packet = typename packet::packet_traits<T>::type;
  static constexpr int lanes = packet::packet_traits<T>::size;
  static constexpr bool many_registers = sizeof(Packet) == 64;
  // Sums fill 12 of 16 registers or 24 of 32, beside the packets of b and one for a. Of 16 registers,
  // 3 rows by 4 packets leave none for b, which is then read once a row: 1.25 times as slow.
  static constexpr int sum_rows = 6, sum_packets = many_registers ? 4 : 2;
  static constexpr int row_packets = 4;  // of a pass over rows

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
  /// the first cache, widened and turned round where it must be, and the rows pass by it, so many at a
  /// time that their y stays in the second. The sum of an element has the same order whatever the
  /// number of rows.
  template <class B>
  static void add_products(Context& ctx, const T* a, Index a_row, Index a_step, const B* b,
                           Index b_step, Index b_col, Index rows, Index inner, Index cols, T* y,
                           Write write) {
    constexpr Index most = 384 / static_cast<Index>(sizeof(T)), wide = sum_packets * lanes;
    constexpr Index apart = most * sum_rows + 64 / static_cast<Index>(sizeof(T));  // of groups
    alignas(64) T block[most * wide];
    const Index together = rows_of_pass(rows, 480, sum_rows);
    // Columns of a that are far apart would share the first cache's sets: they are gathered before
    // (1.3 times as fast at 1,152 to 1,536; slower up to 384).
    const bool gathers = a_row == 1 && a_step >= 512;
    Arena::Scope scope(ctx.arena);
    T* const gathered = gathers ? ctx.take<T>(together / sum_rows * apart).data() : nullptr;
    const Index parts = std::max(Index{1}, (inner + most - 1) / most);
    for (Index top = 0; top < rows; top += together) {
      const Index tall = std::min(together, rows - top);
      for (Index part = 0; part < parts; ++part) {
        const Index from = inner * part / parts, some = inner * (part + 1) / parts - from;
        const Write how = part == 0 ? write : Write::add;
        const T* const lefts = a + top * a_row + from * a_step;
        if (gathers) {
          gather_groups(lefts, a_step, some, tall / sum_rows, gathered, apart);
        }
        for (Index c = 0; c < cols; c += wide) {
          const Index here = std::min(wide, cols - c);
          copy_block(b + from * b_step + c * b_col, b_step, b_col, some, here, block);
          in_row_groups<sum_rows>(tall, [&]<int M>(Index r) {
            const bool found = gathers && M == sum_rows;
            const T* const left = found ? gathered + r / sum_rows * apart : lefts + r * a_row;
            const Index step = found ? sum_rows : a_step;
            T* const to = y + (top + r) * cols + c;
            if (here == wide) {
              add_products<M, sum_packets>(left, a_row, step, block, wide, some, to, cols, how);
              return;
            }
            for (Index i = 0; i < here; i += lanes) {
              add_products<M, 1>(left, a_row, step, block + i, wide, some, to + i, cols, how);
            }
          });
        }
      }
    }
  }

private:
  /// block[j · sum_packets · lanes + i] = b[j · b_step + i · b_col]
  template <class B>
  static void copy_block(const B* b, Index b_step, Index b_col, Index count, Index cols, T* block) {
    constexpr Index wide = sum_packets * lanes;
    for (Index j = 0; j < count; ++j, b += b_step, block += wide) {
      if constexpr (std::is_same_v<B, T>) {
        if (b_col == 1 && cols == wide) {
          unrolled<sum_packets>([&](Index c) __attribute__((always_inline)) {
            store(block + c * lanes, load(b + c * lanes));
          });
          continue;
        }
      }
      for (Index i = 0; i < cols; ++i) { block[i] = widened(b[i * b_col]); }
    }
  }
  /// to[g · apart + j · sum_rows + i] = a[j · a_step + g · sum_rows + i]
  static void gather_groups(const T* a, Index a_step, Index count, Index groups, T* to,
                            Index apart) {
    for (Index j = 0; j < count; ++j) {
      for (Index g = 0; g < groups; ++g) {
        std::memcpy(to + g * apart + j * sum_rows, a + j * a_step + g * sum_rows,
                    sum_rows * sizeof(T));
      }
    }
  }
};

}  // namespace simgr::SIMGR_ABI::cpu::detail

#pragma GCC diagnostic pop
