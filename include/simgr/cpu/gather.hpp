// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include <simgr/cpu/context.hpp>
#include <simgr/cpu/eigen.hpp>
#include <simgr/cpu/packet_products.hpp>

namespace simgr::SIMGR_ABI::cpu {

/// y(i, ·) = table(rows[i], ·).   table [table rows, width], rows [count], y [count, width]
template <class T, class Id>
void gather_rows(Context&, MatrixArg<T> table, std::span<const Id> rows, Matrix<T> y) noexcept {
  for (Index i = 0; i < y.rows(); ++i) {
    as_row(y.row(i)) = as_row(table.row(static_cast<Index>(rows[static_cast<std::size_t>(i)])));
  }
}

/// table(rows[i], ·) += factor y(i, ·), in the order of i: repeats add up in a fixed order.
template <class T, class Id>
void scatter_add_rows(Context&, MatrixArg<T> y, std::span<const Id> rows, T factor,
                      Matrix<T> table) noexcept {
  for (Index i = 0; i < y.rows(); ++i) {
    as_row(table.row(static_cast<Index>(rows[static_cast<std::size_t>(i)]))) +=
        factor * as_row(y.row(i));
  }
}

/// y(·, i) = table(rows[i], ·).   table [table rows, width], rows [count], y [width, count]
template <class T>
void gather_columns(Context&, MatrixArg<T> table, std::span<const std::int32_t> rows,
                    Matrix<T> y) noexcept {
  for (Index i = 0; i < y.cols(); ++i) {
    const Index row = rows[static_cast<std::size_t>(i)];
    for (Index c = 0; c < y.rows(); ++c) { y(c, i) = table(row, c); }
  }
}

/// table(rows[i], ·) += y(·, i), in the order of i.
template <class T>
void scatter_add_columns(Context&, MatrixArg<T> y, std::span<const std::int32_t> rows,
                         Matrix<T> table) noexcept {
  for (Index i = 0; i < y.cols(); ++i) {
    const Index row = rows[static_cast<std::size_t>(i)];
    for (Index c = 0; c < y.rows(); ++c) { table(row, c) += y(c, i); }
  }
}

namespace detail {

/// wide(first column) over a row in blocks of row_packets packets, then narrow(column) over the rest.
template <class T, class Wide, class Narrow>
EIGEN_ALWAYS_INLINE void over_columns(Index width, Wide&& wide, Narrow&& narrow) {
  constexpr Index block = PacketProducts<T>::row_packets * PacketProducts<T>::lanes;
  Index c = 0;
  for (; c + block <= width; c += block) { wide(c); }
  for (; c < width; ++c) { narrow(c); }
}

}  // namespace detail

/// y(i, ·) = factor Σ_l table(rows(i, l), ·), assigned or added as `write` says.
/// rows [items, digits], at least one digit
template <class T>
void sum_gathered_rows(Context&, MatrixArg<T> table, Matrix<const std::int32_t> rows, T factor,
                       Matrix<T> y, Write write) noexcept {
  using K = detail::PacketProducts<T>;
  using Packet = typename K::Packet;
  const Index width = y.cols(), digits = rows.cols();
  for (Index i = 0; i < y.rows(); ++i) {
    T* const out = y.data() + i * width;
    const std::int32_t* const of = rows.data() + i * digits;
    const auto row = [&](Index l) { return table.data() + of[l] * width; };
    detail::over_columns<T>(
        width,
        [&](Index c) {
          Packet sum[K::row_packets];
          const auto over = [&](auto&& f) __attribute__((always_inline)) {
            detail::unrolled<K::row_packets>(f);
          };
          over([&](Index p)
                   __attribute__((always_inline)) { sum[p] = K::load(row(0) + c + p * K::lanes); });
          for (Index l = 1; l < digits; ++l) {
            const T* const from = row(l) + c;
            over([&](Index p) __attribute__((always_inline)) {
              sum[p] = detail::packet::padd(sum[p], K::load(from + p * K::lanes));
            });
          }
          over([&](Index p) __attribute__((always_inline)) {
            T* const to = out + c + p * K::lanes;
            sum[p] = detail::packet::pmul(sum[p], K::splat(factor));
            K::store(to, write == Write::add ? detail::packet::padd(K::load(to), sum[p]) : sum[p]);
          });
        },
        [&](Index c) {
          T sum = row(0)[c];
          for (Index l = 1; l < digits; ++l) { sum += row(l)[c]; }
          out[c] = write == Write::add ? out[c] + factor * sum : factor * sum;
        });
  }
}

/// y(i) = factor Σ_l values(rows(i, l)).   values [table rows], rows [items, digits], y [items]
template <class T>
void sum_of_looked_up(Context&, VectorArg<T> values, Matrix<const std::int32_t> rows, T factor,
                      Vector<T> y) noexcept {
  for (Index i = 0; i < y.size(); ++i) {
    const std::int32_t* const own = rows.data() + i * rows.cols();
    T sum = 0;
    for (Index l = 0; l < rows.cols(); ++l) { sum += values[own[l]]; }
    y[i] = factor * sum;
  }
}

/// table(rows(i, l), ·) += factor dy(i, ·) for every digit l.
template <class T>
void scatter_add_to_digits(Context&, MatrixArg<T> dy, Matrix<const std::int32_t> rows, T factor,
                           Matrix<T> table) noexcept {
  using K = detail::PacketProducts<T>;
  using Packet = typename K::Packet;
  const Index width = dy.cols(), digits = rows.cols();
  for (Index i = 0; i < dy.rows(); ++i) {
    const T* const from = dy.data() + i * width;
    const std::int32_t* const of = rows.data() + i * digits;
    detail::over_columns<T>(
        width,
        [&](Index c) {
          Packet value[K::row_packets];
          const auto over = [&](auto&& f) __attribute__((always_inline)) {
            detail::unrolled<K::row_packets>(f);
          };
          over([&](Index p) __attribute__((always_inline)) {
            value[p] = detail::packet::pmul(K::load(from + c + p * K::lanes), K::splat(factor));
          });
          for (Index l = 0; l < digits; ++l) {
            T* const to = table.data() + of[l] * width + c;
            over([&](Index p) __attribute__((always_inline)) {
              K::store(to + p * K::lanes,
                       detail::packet::padd(K::load(to + p * K::lanes), value[p]));
            });
          }
        },
        [&](Index c) {
          for (Index l = 0; l < digits; ++l) {
            table.data()[of[l] * width + c] += factor * from[c];
          }
        });
  }
}

/// y(i, ·) = Σ_l weights(i, l) table(rows(i, l), ·).   weights, rows [items, digits]
template <class T>
void weighted_gather(Context&, MatrixArg<T> table, Matrix<const std::int32_t> rows,
                     MatrixArg<T> weights, Matrix<T> y) noexcept {
  for (Index i = 0; i < y.rows(); ++i) {
    EigenRow<T> out = as_row(y.row(i));
    out = weights(i, 0) * as_row(table.row(rows(i, 0)));
    for (Index l = 1; l < rows.cols(); ++l) {
      out += weights(i, l) * as_row(table.row(rows(i, l)));
    }
  }
}

/// What becomes of weighted_gather; dtable accumulates, dweights is assigned:
///
///   dtable(rows(i, l), ·) += weights(i, l) dy(i, ·)
///   dweights(i, l)         = dy(i, ·) · table(rows(i, l), ·)
template <class T>
void weighted_gather_backward(Context&, MatrixArg<T> table, Matrix<const std::int32_t> rows,
                              MatrixArg<T> weights, MatrixArg<T> dy, Matrix<T> dtable,
                              Matrix<T> dweights) noexcept {
  for (Index i = 0; i < dy.rows(); ++i) {
    for (Index l = 0; l < rows.cols(); ++l) {
      as_row(dtable.row(rows(i, l))) += weights(i, l) * as_row(dy.row(i));
      dweights(i, l) = (as_row(dy.row(i)) * as_row(table.row(rows(i, l)))).sum();
    }
  }
}

/// y(i, ·) = mean of rows [i · group, (i + 1) · group) of x
template <class T>
void mean_of_rows(Context&, MatrixArg<T> x, Index group, Matrix<T> y) noexcept {
  for (Index i = 0; i < y.rows(); ++i) {
    as_row(y.row(i)) = as_eigen(x.slice(i * group, group)).colwise().mean().array();
  }
}

/// dx(j, ·) = dy(j / group, ·) / group, assigned
template <class T>
void mean_of_rows_backward(Context&, MatrixArg<T> dy, Index group, Matrix<T> dx) noexcept {
  for (Index j = 0; j < dx.rows(); ++j) {
    as_row(dx.row(j)) = as_row(dy.row(j / group)) * (T(1) / static_cast<T>(group));
  }
}

/// y(i) = a(i, ·) · b(i, ·), row by row.   a, b [rows, width], y [rows]
template <class T>
void row_dots(Context&, MatrixArg<T> a, MatrixArg<T> b, Vector<T> y) noexcept {
  for (Index i = 0; i < a.rows(); ++i) { y[i] = (as_row(a.row(i)) * as_row(b.row(i))).sum(); }
}

/// y(r, j) = queries(r, ·) · keys(ids(r, j), ·).   ids, y [rows, per_row]
template <class T>
void chosen_dots(Context&, MatrixArg<T> queries, MatrixArg<T> keys, Matrix<const std::int32_t> ids,
                 Matrix<T> y) noexcept {
  for (Index r = 0; r < ids.rows(); ++r) {
    for (Index j = 0; j < ids.cols(); ++j) {
      y(r, j) = (as_row(queries.row(r)) * as_row(keys.row(ids(r, j)))).sum();
    }
  }
}

/// What becomes of chosen_dots; dqueries is assigned, dkeys accumulates:
///
///   dqueries(r, ·)         = Σ_j dy(r, j) keys(ids(r, j), ·)
///   dkeys(ids(r, j), ·)   += dy(r, j) queries(r, ·)
template <class T>
void chosen_dots_backward(Context&, MatrixArg<T> queries, MatrixArg<T> keys,
                          Matrix<const std::int32_t> ids, MatrixArg<T> dy, Matrix<T> dqueries,
                          Matrix<T> dkeys) noexcept {
  for (Index r = 0; r < ids.rows(); ++r) {
    EigenRow<T> out = as_row(dqueries.row(r));
    out.setZero();
    for (Index j = 0; j < ids.cols(); ++j) {
      out += dy(r, j) * as_row(keys.row(ids(r, j)));
      as_row(dkeys.row(ids(r, j))) += dy(r, j) * as_row(queries.row(r));
    }
  }
}

/// y(i, ·) = weights(i) x(i, ·), assigned or added as `write` says.
template <class T>
void scale_rows(Context&, VectorArg<T> weights, MatrixArg<T> x, Matrix<T> y, Write write) noexcept {
  for (Index i = 0; i < x.rows(); ++i) {
    if (write == Write::assign) {
      as_row(y.row(i)) = weights[i] * as_row(x.row(i));
    } else {
      as_row(y.row(i)) += weights[i] * as_row(x.row(i));
    }
  }
}

}  // namespace simgr::SIMGR_ABI::cpu
