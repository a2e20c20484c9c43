// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/loss/negatives.hpp>

namespace simgr_test {

using namespace simgr;

/// A scorer over a score matrix that is simply given: what a loss does to it, with nothing before.
template <class T>
struct GivenScores {
  Matrix<const T> given;  // [rows, candidates]
  Matrix<T> gradient;     // the same; zero at first
  Matrix<const T> keys{nullptr, {0, 0}};

  Index rows() const { return given.rows(); }
  Index candidates() const { return given.cols(); }
  template <class Ctx>
  void tile(Ctx& ctx, Index first, Index count, Matrix<T> scores) const {
    copy(ctx, given.slice(first, count), scores, Write::assign);
  }
  template <class Ctx>
  void tile_backward(Ctx& ctx, Index first, Index count, MatrixArg<T> dscores) const {
    copy(ctx, dscores, gradient.slice(first, count), Write::add);
  }
  template <class Ctx>
  void chosen(Ctx&, Matrix<const std::int32_t> ids, Matrix<T> scores) const {
    for (Index r = 0; r < ids.rows(); ++r) {
      for (Index j = 0; j < ids.cols(); ++j) { scores(r, j) = given(r, ids(r, j)); }
    }
  }
  template <class Ctx>
  void chosen_backward(Ctx&, Matrix<const std::int32_t> ids, MatrixArg<T> dscores) const {
    for (Index r = 0; r < ids.rows(); ++r) {
      for (Index j = 0; j < ids.cols(); ++j) { gradient(r, ids(r, j)) += dscores(r, j); }
    }
  }
  /// Columns are the candidates in the order of `ids`, whatever these are.
  template <class Ctx>
  void shared(Ctx& ctx, std::span<const std::int32_t>, Matrix<T>, Matrix<T> scores) const {
    copy(ctx, given, scores, Write::assign);
  }
  template <class Ctx>
  void shared_backward(Ctx& ctx, std::span<const std::int32_t>, MatrixArg<T>,
                       MatrixArg<T> dscores) const {
    copy(ctx, dscores, gradient, Write::add);
  }
};

/// Column 0 is the target of every row and columns 1 … count its negatives, in their order.
template <Index count>
struct GivenNegatives {
  static constexpr Index per_row = count;
  static inline Index drawn = 0;
  static Index draw(Rng&, Index, const LossBatch&) { return 1 + drawn++ % count; }
  static double log_q(const LossBatch&, Index, Index) { return 0; }
};

/// A batch of `rows` one-item histories whose targets are all item 0.
struct FirstColumn {
  std::vector<ItemId> zeros;
  std::vector<Index> offsets;

  explicit FirstColumn(Index rows) : zeros(static_cast<std::size_t>(rows)) {
    for (Index r = 0; r <= rows; ++r) { offsets.push_back(r); }
  }
  LossBatch batch() const { return {zeros, {zeros, offsets}, {}, {}, {}}; }
};

}  // namespace simgr_test
