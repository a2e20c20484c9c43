// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include <simgr/core/op_tags.hpp>
#include <simgr/core/rng.hpp>
#include <simgr/cpu/context.hpp>
#include <simgr/cpu/eigen.hpp>

namespace simgr::SIMGR_ABI::cpu {

/// y = value
template <class T, std::size_t Rank>
void fill(Context&, View<T, Rank> y, std::type_identity_t<T> value) noexcept {
  std::fill(y.begin(), y.end(), value);
}

/// y = x, or y += x as `write` says.
template <class T, std::size_t Rank>
void copy(Context&, std::type_identity_t<View<const T, Rank>> x, View<T, Rank> y,
          Write write) noexcept {
  SIMGR_ASSERT(x.size() == y.size(), "copy: shapes");
  if (write == Write::assign) {
    std::copy(x.begin(), x.end(), y.begin());
  } else {
    as_row(y) += as_row(x);
  }
}

/// The columns of y from y.begin on become x, or x is added to them.   x [rows, cols]
template <class T>
void copy_to_columns(Context&, MatrixArg<T> x, Columns<T> y, Write write = Write::assign) noexcept {
  SIMGR_ASSERT(x.rows() == y.matrix.rows() && y.begin + x.cols() <= y.matrix.cols(),
               "copy_to_columns: shapes");
  for (Index i = 0; i < x.rows(); ++i) {
    const Vector<T> row = y.matrix.row(i).slice(y.begin, x.cols());
    if (write == Write::assign) {
      std::copy(x.row(i).begin(), x.row(i).end(), row.begin());
    } else {
      as_row(row) += as_row(x.row(i));
    }
  }
}
/// y becomes the columns of x from x.begin on.   y [rows, cols]
template <class T>
void copy_of_columns(Context&, Columns<const T> x, Matrix<T> y) noexcept {
  SIMGR_ASSERT(x.matrix.rows() == y.rows() && x.begin + y.cols() <= x.matrix.cols(),
               "copy_of_columns: shapes");
  for (Index i = 0; i < y.rows(); ++i) {
    const auto from = x.matrix.row(i).begin() + x.begin;
    std::copy(from, from + y.cols(), y.row(i).begin());
  }
}

/// y becomes as many columns of x from x.begin on as it has.   y [rows, cols]
template <class T>
void copy_columns(Context&, Columns<const T> x, Matrix<T> y) noexcept {
  SIMGR_ASSERT(x.matrix.rows() == y.rows() && x.begin + y.cols() <= x.matrix.cols(),
               "copy_columns: shapes");
  for (Index i = 0; i < y.rows(); ++i) {
    std::copy_n(x.matrix.row(i).begin() + x.begin, y.cols(), y.row(i).begin());
  }
}

/// y *= factor
template <class T, std::size_t Rank>
void scale(Context&, View<T, Rank> y, std::type_identity_t<T> factor) noexcept {
  as_row(y) *= factor;
}

/// y = a b, element by element; y may be a or b.
template <class T, std::size_t Rank>
void multiply(Context&, std::type_identity_t<View<const T, Rank>> a,
              std::type_identity_t<View<const T, Rank>> b, View<T, Rank> y) noexcept {
  SIMGR_ASSERT(a.size() == y.size() && b.size() == y.size(), "multiply: shapes");
  as_row(y) = as_row(a) * as_row(b);
}

/// y(i, ·) += row, for every i.   row [cols], y [rows, cols]
template <class T>
void add_to_rows(Context&, VectorArg<T> row, Matrix<T> y) noexcept {
  SIMGR_ASSERT(row.size() == y.cols(), "add_to_rows: shapes");
  for (Index i = 0; i < y.rows(); ++i) { as_row(y.row(i)) += as_row(row); }
}

/// sums += Σ_i x(i, ·).   x [rows, cols], sums [cols]
template <class T>
void add_column_sums(Context&, MatrixArg<T> x, Vector<T> sums) noexcept {
  SIMGR_ASSERT(sums.size() == x.cols(), "add_column_sums: shapes");
  for (Index i = 0; i < x.rows(); ++i) { as_row(sums) += as_row(x.row(i)); }
}

namespace detail {

inline constexpr Index philox_lanes = 16;
using PhiloxWords = std::uint32_t[4][philox_lanes];

// g++ halves the widest vectors unless it is told not to, and of a function inside another it forgets that: where no
// kernels are compiled beside (see cpu/compiled.hpp), dropout takes 3.8 times as long.
#if defined(__AVX512F__) && !defined(__clang__)
#pragma GCC push_options
#pragma GCC target("prefer-vector-width=512")
#pragma GCC optimize("O3")
#endif
/// words[·][lane] = Philox block first + lane of a stream; the lanes are computed together.
[[gnu::noinline]] inline void philox_blocks(std::uint64_t seed, std::uint64_t step,
                                            std::uint32_t stream, std::uint64_t first,
                                            PhiloxWords& words) noexcept {
  for (Index lane = 0; lane < philox_lanes; ++lane) {
    const std::uint64_t block = first + static_cast<std::uint64_t>(lane);
    words[0][lane] = static_cast<std::uint32_t>(block);
    words[1][lane] = static_cast<std::uint32_t>(block >> 32);
    words[2][lane] = stream;
    words[3][lane] = static_cast<std::uint32_t>(step);
  }
  auto key0 = static_cast<std::uint32_t>(seed);
  auto key1 = static_cast<std::uint32_t>((seed >> 32) ^ (step >> 32));
  for (int round = 0; round < 10; ++round) {
    for (Index lane = 0; lane < philox_lanes; ++lane) {
      const std::uint64_t left = std::uint64_t{0xD2511F53u} * words[0][lane];
      const std::uint64_t right = std::uint64_t{0xCD9E8D57u} * words[2][lane];
      words[0][lane] = static_cast<std::uint32_t>(right >> 32) ^ words[1][lane] ^ key0;
      words[1][lane] = static_cast<std::uint32_t>(right);
      words[2][lane] = static_cast<std::uint32_t>(left >> 32) ^ words[3][lane] ^ key1;
      words[3][lane] = static_cast<std::uint32_t>(left);
    }
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
}
#if defined(__AVX512F__) && !defined(__clang__)
#pragma GCC pop_options
#endif

}  // namespace detail

/// What dropout() multiplies by, as a function of (seed, step, stream, element): 0 with probability
/// `rate`, a multiple of 2^-16, and 1 / (1 - rate) otherwise. Elements that are asked for in their
/// order cost one Philox block for eight.
template <class T>
class DropoutMask {
public:
  DropoutMask(const Context& ctx, float rate, std::uint32_t stream) noexcept
      : seed_(ctx.seed), step_(ctx.step), stream_(stream),
        threshold_(static_cast<std::uint32_t>(rate * 65536.0f)),
        keep_(static_cast<T>(65536.0 / (65536.0 - static_cast<double>(threshold_)))) {}

  /// data[i] *= factor of element first + i, of each of `data`
  template <class... Data>
  void apply(Index first, Index size, Data*... data) noexcept {
    visit(first, size, [&](Index done, Index count, const T* factor) {
      const auto multiply = [&](T* part) {
        for (Index i = 0; i < count; ++i) { part[i] *= factor[i]; }
      };
      (multiply(data + done), ...);
    });
  }
  /// f(done, count, factors) for `size` elements from `first` on, some at a time, of which `done` were
  /// before.
  template <class F>
  void visit(Index first, Index size, F&& f) noexcept {
    for (Index done = 0; done < size;) {
      const Index from = (first + done) % chunk, count = std::min(chunk - from, size - done);
      if (const Index begin = first + done - from; begin != begin_) {
        draw(begin);
      }
      f(done, count, factor_ + from);
      done += count;
    }
  }
  /// What elements are multiplied by that are not dropped.
  T keep() const noexcept { return keep_; }

private:
  static constexpr Index lanes = detail::philox_lanes, per_lane = 8, chunk = lanes * per_lane;

  void draw(Index begin) noexcept {
    begin_ = begin;
    detail::PhiloxWords words;
    detail::philox_blocks(seed_, step_, stream_, static_cast<std::uint64_t>(begin / per_lane),
                          words);
    // Element 16 j + lane of a chunk reads half-word j of its lane: contiguous for every j.
    for (Index word = 0; word < 4; ++word) {
      for (Index lane = 0; lane < lanes; ++lane) {
        factor_[(2 * word) * lanes + lane] =
            (words[word][lane] & 0xFFFFu) < threshold_ ? T(0) : keep_;
        factor_[(2 * word + 1) * lanes + lane] =
            (words[word][lane] >> 16) < threshold_ ? T(0) : keep_;
      }
    }
  }

  std::uint64_t seed_, step_;
  std::uint32_t stream_, threshold_;
  T keep_, factor_[chunk];
  Index begin_ = -1;
};

/// Multiplies y by its DropoutMask; leaves it alone where the context is not training. The backward
/// pass calls the same function on the gradient, and nothing is stored.
template <class T, std::size_t Rank>
void dropout(const Context& ctx, View<T, Rank> y, float rate, std::uint32_t stream) noexcept {
  if (ctx.training && rate > 0) {
    DropoutMask<T>(ctx, rate, stream).apply(0, y.size(), y.data());
  }
}

/// y = dropout(max(y, 0)) in one pass; the first element is the mask's element `first`.
template <class T>
void relu_dropout(const Context& ctx, Matrix<T> y, float rate, std::uint32_t stream,
                  Index first) noexcept {
  T* const data = y.data();
  if (ctx.training && rate > 0) {
    DropoutMask<T>(ctx, rate, stream)
        .visit(first, y.size(), [&](Index done, Index count, const T* factor) {
          for (Index i = 0; i < count; ++i) {
            data[done + i] = std::max(data[done + i], T(0)) * factor[i];
          }
        });
  } else {
    for (Index i = 0; i < y.size(); ++i) { data[i] = std::max(data[i], T(0)); }
  }
}
/// dy, that of relu_dropout's y, becomes that of what it was given. Where y is positive, neither the
/// unit nor dropout has stopped it: no mask is drawn again.
template <class T>
void relu_dropout_backward(const Context& ctx, MatrixArg<T> y, float rate, Matrix<T> dy) noexcept {
  const T keep = ctx.training && rate > 0 ? DropoutMask<T>(ctx, rate, 0).keep() : T(1);
  const T* const value = y.data();
  T* const gradient = dy.data();
  for (Index i = 0; i < y.size(); ++i) { gradient[i] = value[i] > 0 ? gradient[i] * keep : T(0); }
}

}  // namespace simgr::SIMGR_ABI::cpu
