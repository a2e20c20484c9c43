// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include <simgr/core/executor.hpp>
#include <simgr/core/op_tags.hpp>
#include <simgr/core/sparse_rows.hpp>
#include <simgr/core/view.hpp>
#include <simgr/cpu/packet_products.hpp>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wignored-attributes"  // packets as template arguments

namespace simgr::SIMGR_ABI::cpu {

namespace detail {

/// y = or += factor (x + Σ_e values[e] b(columns[e], ·)) for P packets of columns; x may be null.
template <int P, class T>
void add_sparse_row(std::span<const std::int32_t> columns, std::span<const float> values,
                    const T* b, Index width, const T* x, T factor, T* y, Write write) {
  using K = PacketProducts<T>;
  typename K::Packet sum[P];
  const auto over = [&](auto&& f) __attribute__((always_inline)) {
    unrolled<P>(f);
  };
  over([&](Index p) __attribute__((always_inline)) {
    sum[p] = x == nullptr ? K::splat(T(0)) : K::load(x + p * K::lanes);
  });
  for (std::size_t e = 0; e < columns.size(); ++e) {
    const T* const from = b + columns[e] * width;
    const auto value = K::splat(static_cast<T>(values[e]));
    over([&](Index p) __attribute__((always_inline)) {
      sum[p] = packet::pmadd(value, K::load(from + p * K::lanes), sum[p]);
    });
  }
  over([&](Index p) __attribute__((always_inline)) {
    T* const to = y + p * K::lanes;
    sum[p] = packet::pmul(sum[p], K::splat(factor));
    K::store(to, write == Write::add ? packet::padd(K::load(to), sum[p]) : sum[p]);
  });
}

}  // namespace detail

/// y = or += factor (x + a b). Row r of y is summed in the order of the entries of row r, whatever the
/// executor.
///
/// Shapes  a sparse [rows, inner];  b [inner, width];  y [rows, width];  x as y, or empty: zeros.  y may be
///         x, not b
/// Cost    O(entries · width)
template <class T, class E>
void multiply(E& executor, const SparseRows& a, MatrixArg<T> b, Matrix<T> y, MatrixArg<T> x = {},
              T factor = T(1), Write write = Write::assign) {
  SIMGR_ASSERT(a.cols == b.rows() && a.rows() == y.rows() && b.cols() == y.cols() &&
                   (x.size() == 0 || x.shape() == y.shape()),
               "sparse product: shapes");
  using K = detail::PacketProducts<T>;
  constexpr Index wide = K::row_packets * K::lanes;
  const Index shards = std::min<Index>(a.rows(), 64), width = b.cols();
  executor.for_each(shards, [&](Index shard) {
    for (Index row = a.rows() * shard / shards; row < a.rows() * (shard + 1) / shards; ++row) {
      const auto columns = a.columns_of(row);
      const auto values = a.values_of(row);
      T* const to = y.data() + row * width;
      const T* const begin = x.size() == 0 ? nullptr : x.data() + row * width;
      const auto at = [&](Index c) { return begin == nullptr ? nullptr : begin + c; };
      Index c = 0;
      for (; c + wide <= width; c += wide) {
        detail::add_sparse_row<K::row_packets>(columns, values, b.data() + c, width, at(c), factor,
                                               to + c, write);
      }
      for (; c + K::lanes <= width; c += K::lanes) {
        detail::add_sparse_row<1>(columns, values, b.data() + c, width, at(c), factor, to + c,
                                  write);
      }
      for (; c < width; ++c) {
        T sum = begin == nullptr ? T(0) : begin[c];
        for (std::size_t e = 0; e < columns.size(); ++e) {
          sum += static_cast<T>(values[e]) * b.data()[columns[e] * width + c];
        }
        to[c] = write == Write::add ? to[c] + factor * sum : factor * sum;
      }
    }
  });
}

}  // namespace simgr::SIMGR_ABI::cpu

#pragma GCC diagnostic pop
