// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <span>

#include <simgr/cpu/context.hpp>
#include <simgr/cpu/eigen.hpp>
#include <simgr/cpu/softmax_kernels.hpp>
#include <simgr/cpu/tile_products.hpp>
#include <simgr/cpu/unrolled.hpp>

// The softmax over the whole catalogue on the tiles of Intel's AMX: queries, keys and probabilities
// are rounded to bfloat16, sums are floats. For training, where a Context asks for it.

#if SIMGR_HAS_TILES

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wignored-attributes"  // packets as template arguments

namespace simgr::SIMGR_ABI::cpu::detail {

#if defined(__clang__)  // which would halve the widest vectors otherwise
#pragma clang attribute push(__attribute__((min_vector_width(512))), apply_to = function)
#endif

/// catalogue_cross_entropy of a catalogue, with factors that lie in the second cache as tiles. Scores
/// and their exponentials are computed twice, for the sums and for the gradients, because a product
/// on tiles takes less time than e^s to and from memory. (Own: 6.9 ms for 900 queries of width 64
/// and 12,101 items, 11.8 for width 128; products that leave their scores in memory 11 and 17, the
/// kernels in fp32 22 and 50.)
class SoftmaxTiles {
  using K = SoftmaxKernels<float>;
  using P = TileProducts;
  using Number = P::Number;

  static constexpr Index lanes = K::lanes, half = 2 * P::side;
  static constexpr Index block = 2 * half;                   // rows, or items, of scores at once
  static constexpr Index most_rows = 512, most_items = 128;  // whose probabilities are kept

  /// A factor as tiles; `steps` of them lie along the sum.
  struct Factor {
    Number* data;
    Index steps;
    /// From row or column `i`, a multiple of 16, and from place `k` of the sum on, one of 32.
    Number* at(Index i, Index k) const noexcept {
      return data + (i * steps + k * P::side / P::depth) * P::depth;
    }
    Index side() const noexcept { return P::side * steps * P::depth; }
  };

  static Index up(Index count, Index to) noexcept { return (count + to - 1) / to * to; }

  static Factor empty(Context& ctx, Index rows, Index count) {
    const Index steps = up(count, P::depth) / P::depth;
    return {ctx.take<Number>(up(rows, half) * steps * P::depth).data(), steps};
  }
  /// x(i, j), at i · row + j · step, for rows · count.
  static Factor factor(Context& ctx, const float* x, Index row, Index step, Index rows, Index count,
                       bool right) {
    const Factor result = empty(ctx, rows, count);
    P::pack<1>(x, row, step, rows, count, right, result.data, 0);
    return result;
  }
  /// y, rows by cols of it, = or += left · right over `steps` tiles of the sum.
  static void multiply(const Factor& left, const Factor& right, Index from, Index steps, Index rows,
                       Index cols, float* y, Index y_row, Write write) noexcept {
    for (Index i = 0; i < rows; i += half) {
      for (Index c = 0; c < cols; c += half) {
        P::multiply<1>(left.at(i, 0), left.side(), 0, right.at(c, from), right.side(), 0, steps,
                       y + i * y_row + c, y_row, write);
      }
    }
  }

  Context& ctx_;
  MatrixArg<float> keys_;
  Index width_, padded_;
  Factor by_width_, by_item_;  // the keys, for scores and for gradients of queries
  float longest_key_ = 0;
  alignas(64) float scores_[block * block];

public:
  SoftmaxTiles(Context& ctx, MatrixArg<float> keys)
      : ctx_(ctx), keys_(keys), width_(keys.cols()), padded_(up(width_, half)),
        by_width_(factor(ctx, keys.data(), width_, 1, keys.rows(), width_, true)),
        by_item_(factor(ctx, keys.data(), 1, width_, width_, keys.rows(), true)) {
    for (Index i = 0; i < keys.rows(); ++i) {
      longest_key_ = std::max(longest_key_, as_row(keys.row(i)).square().sum());
    }
    longest_key_ = std::sqrt(longest_key_) * 1.01f;  // factors are rounded
  }

  /// As catalogue_cross_entropy.
  double operator()(MatrixArg<float> queries, std::span<const std::int32_t> targets, float weight,
                    Matrix<float> dqueries, Matrix<float> dkeys) {
    P::begin();
    double loss = 0;
    for (Index first = 0; first < queries.rows(); first += most_rows) {
      const Index count = std::min(most_rows, queries.rows() - first);
      loss +=
          of_rows(queries.slice(first, count),
                  targets.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count)),
                  weight, dqueries.slice(first, count), dkeys);
    }
    P::end();
    return loss;
  }

private:
  /// The same of at most most_rows queries.
  double of_rows(MatrixArg<float> queries, std::span<const std::int32_t> targets, float weight,
                 Matrix<float> dqueries, Matrix<float> dkeys) {
    Arena::Scope scope(ctx_.arena);
    constexpr double log2_e = 1.4426950408889634;
    constexpr float safe = 58;  // half the range of exponents, less a few bits
    const Index rows = queries.rows(), items = keys_.rows(), all_rows = up(rows, block);
    const Matrix<float> scaled = ctx_.take<float>(rows, width_);
    as_eigen(scaled) = static_cast<float>(log2_e) * as_eigen(queries);
    const Factor q = factor(ctx_, scaled.data(), width_, 1, rows, width_, false),
                 q_turned = factor(ctx_, queries.data(), 1, width_, width_, rows, false),
                 left = empty(ctx_, all_rows, most_items),
                 right = empty(ctx_, most_items, all_rows);
    const Vector<float> shift = ctx_.take<float>(all_rows);
    const Matrix<float> sums = ctx_.take<float>(all_rows, lanes),
                        dq = ctx_.take<float>(all_rows, padded_),
                        dk = ctx_.take<float>(padded_, most_items);

    std::fill(shift.begin(), shift.end(), 1e30f);  // rows that are not there: 0 of everything
    float largest_shift = 0;
    for (Index r = 0; r < rows; ++r) {
      shift[r] = std::sqrt(as_row(scaled.row(r)).square().sum()) * longest_key_;
      largest_shift = std::max(largest_shift, shift[r]);
    }
    if (!(largest_shift <= safe)) {
      as_eigen(sums).setConstant(-std::numeric_limits<float>::infinity());
      each_block(q, rows, 0, items, [&](Index i, Index) {
        for (Index r = 0; r < block; ++r) {
          auto total = K::load(sums.row(i + r).data());
          for (Index c = 0; c < block; c += lanes) {
            total = packet::pmax(total, K::load(scores_ + r * block + c));
          }
          K::store(sums.row(i + r).data(), total);
        }
      });
      for (Index r = 0; r < rows; ++r) { shift[r] = as_row(sums.row(r)).maxCoeff(); }
    }
    as_eigen(sums).setZero();
    each_block(q, rows, 0, items,
               [&](Index i, Index) { add_powers(shift.data() + i, sums.row(i).data()); });

    double loss = 0;
    for (Index r = 0; r < rows; ++r) {
      const double sum = static_cast<double>(as_row(sums.row(r)).sum());
      const Index target = targets[static_cast<std::size_t>(r)];
      const float own = (as_row(queries.row(r)) * as_row(keys_.row(target))).sum();
      loss += std::log(sum) + static_cast<double>(shift[r]) / log2_e - static_cast<double>(own);
      // Probabilities carry the weight.
      shift[r] += static_cast<float>(std::log2(sum / static_cast<double>(weight)));
      as_row(dkeys.row(target)) -= weight * as_row(queries.row(r));
    }
    as_eigen(dq).setZero();
    for (Index j = 0; j < items; j += most_items) {
      const Index here = std::min(most_items, items - j);
      each_block(q, rows, j, here,
                 [&](Index i, Index c) { probabilities(shift.data() + i, left, right, i, c); });
      multiply(left, by_item_, j, up(here, P::depth) / P::depth, rows, padded_, dq.data(), padded_,
               Write::add);
      multiply(q_turned, right, 0, q_turned.steps, padded_, here, dk.data(), most_items,
               Write::assign);
      add_turned(dk, dkeys.slice(j, here));
    }
    for (Index r = 0; r < rows; ++r) {
      const Index target = targets[static_cast<std::size_t>(r)];
      as_eigen(dqueries.slice(r, 1)) =
          as_eigen(dq.slice(r, 1)).leftCols(width_) - weight * as_eigen(keys_.slice(target, 1));
    }
    return loss;
  }

  /// f(first row, first item behind `from`) for all blocks of `count` items, those of the same items
  /// one after the other; their scores, in powers of two, stand in scores_, those of places without
  /// an item so low that nothing is left of them.
  template <class F>
  void each_block(const Factor& queries, Index rows, Index from, Index count, F&& f) {
    for (Index j = 0; j < count; j += block) {
      const Index here = std::min(block, count - j);
      for (Index i = 0; i < rows; i += block) {
        for (Index r = 0; r < std::min(block, rows - i); r += half) {
          for (Index c = 0; c < here; c += half) {
            P::multiply<1>(queries.at(i + r, 0), queries.side(), 0, by_width_.at(from + j + c, 0),
                           by_width_.side(), 0, by_width_.steps, scores_ + r * block + c, block,
                           Write::assign);
          }
        }
        if (here < block) {
          for (Index r = 0; r < block; ++r) {
            std::fill(scores_ + r * block + here, scores_ + (r + 1) * block, -1e30f);
          }
        }
        f(i, j);
      }
    }
  }

  /// 2^x to 3e-6, far below what bfloat16 tells apart; 0 below the range.
  ///
  ///   x = n + f, n whole, 0 <= f < 1:  2^f by a polynomial, 2^n by the processor
  static typename K::Packet power_of_two(const typename K::Packet& x) noexcept {
    constexpr int down = 0x01 | 0x08;  // f of the next whole number below; no exception
    const __m512 f = _mm512_reduce_ps(x, down);
    __m512 y = _mm512_set1_ps(0.0135341287f);
    y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(0.0520114861f));
    y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(0.241442785f));
    y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(0.693003833f));
    y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(1.00000262f));
    // All lanes: without a mask g++ 12 takes the intrinsic's own line for a use of nothing.
    return _mm512_maskz_scalef_ps(static_cast<__mmask16>(-1), y, x);
  }

  /// sums(r) += 2^(scores(r) - shift(r)) of a block, lane by lane. Inlined into the loop over blocks,
  /// it loses its registers to that (a third slower).
  [[gnu::noinline]] void add_powers(const float* shift, float* sums) noexcept {
    for (Index r = 0; r < block; ++r) {
      auto total = K::load(sums + r * lanes);
      const auto down = K::splat(shift[r]);
      unrolled<block / lanes>([&](auto c) __attribute__((always_inline)) {
        const auto score = K::load(scores_ + r * block + c * lanes);
        total = packet::padd(total, power_of_two(packet::psub(score, down)));
      });
      K::store(sums + r * lanes, total);
    }
  }

  /// 2^(score - shift) of a block as tiles: as rows of a left factor, and as pairs of rows of a right
  /// one.
  [[gnu::noinline]] void probabilities(const float* shift, const Factor& left, const Factor& right,
                                       Index i, Index c) const noexcept {
    for (Index t = 0; t < block; t += P::side) {
      for (Index h = 0; h < block; h += half) {
        const float* const scores = scores_ + t * block + h;
        Number* const rows = left.at(i + t, c + h);
        Number* const pairs = right.at(c + h, i + t / half * half) + t % half / 2 * P::depth;
        for (Index r = 0; r < P::side; r += 2) {
          Lanes p[2][2];
          unrolled<2>([&](auto row) __attribute__((always_inline)) {
            const auto down = K::splat(shift[t + r + row]);
            unrolled<2>([&](auto part) __attribute__((always_inline)) {
              const auto value = power_of_two(
                  packet::psub(K::load(scores + (r + row) * block + part * lanes), down));
              std::memcpy(&p[row][part], &value, sizeof value);
            });
            P::Numbers line;
            P::round(p[row][0], p[row][1], line);
            std::memcpy(rows + (r + row) * P::depth, &line, sizeof line);
          });
          unrolled<2>([&](auto part) __attribute__((always_inline)) {
            Lanes both;
            P::pairs<true>(p[0][part], p[1][part], both);
            std::memcpy(pairs + part * right.side() + r / 2 * P::depth, &both, sizeof both);
          });
        }
      }
    }
  }

  /// to += turned', block of 16 by 16 after block.
  static void add_turned(Matrix<float> turned, Matrix<float> to) noexcept {
    for (Index c = 0; c < to.cols(); c += lanes) {
      const Index some = std::min<Index>(lanes, to.cols() - c);
      for (Index i = 0; i < to.rows(); i += lanes) {
        Lanes part[lane_count];
        for (Index j = 0; j < lanes; ++j) { load(part[j], turned.row(c + j).data() + i); }
        transpose(part);
        for (Index j = 0; j < std::min<Index>(lanes, to.rows() - i); ++j) {
          float* const row = to.row(i + j).data() + c;
          if (some == lanes) {
            Lanes sum;
            load(sum, row);
            sum += part[j];
            std::memcpy(row, &sum, sizeof sum);
          } else {
            for (Index k = 0; k < some; ++k) { row[k] += part[j][k]; }
          }
        }
      }
    }
  }
};

#if defined(__clang__)
#pragma clang attribute pop
#endif

}  // namespace simgr::SIMGR_ABI::cpu::detail

#pragma GCC diagnostic pop

#endif
