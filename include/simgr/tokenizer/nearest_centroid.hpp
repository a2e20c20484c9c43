// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>  // std::iota
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <simgr/core/arena.hpp>
#include <simgr/core/error.hpp>
#include <simgr/core/owned_matrix.hpp>
#include <simgr/cpu/gemm.hpp>
#include <simgr/cpu/nearest_products.hpp>

namespace simgr::SIMGR_ABI::tokenizer {

namespace detail {

/// Sum of term(0) … term(count - 1) in sixteen lanes, so that it vectorises; fixed order.
template <class Term>
float lane_sum(Index count, Term term) noexcept {
  constexpr Index lanes = 16;
  float partial[lanes] = {};
  Index i = 0;
  for (; i + lanes <= count; i += lanes) {
    for (Index lane = 0; lane < lanes; ++lane) { partial[lane] += term(i + lane); }
  }
  for (Index lane = 0; i + lane < count; ++lane) { partial[lane] += term(i + lane); }
  for (Index half = lanes / 2; half > 0; half /= 2) {
    for (Index lane = 0; lane < half; ++lane) { partial[lane] += partial[lane + half]; }
  }
  return partial[0];
}

}  // namespace detail

/// |a|², summed in a fixed order.
inline float squared_length(VectorArg<float> a) noexcept {
  const float* const x = a.data();
  return detail::lane_sum(a.size(), [x](Index i) { return x[i] * x[i]; });
}

/// |a - b|². Exactly zero for equal rows.
inline float squared_distance(VectorArg<float> a, VectorArg<float> b) noexcept {
  const float *const x = a.data(), *const y = b.data();
  return detail::lane_sum(a.size(), [x, y](Index i) { return (x[i] - y[i]) * (x[i] - y[i]); });
}

/// Refuses vectors whose distances are no numbers.
/// Errors  DataError: no row, no column, or a row that is not finite or too long to square
inline void check_vectors(MatrixArg<float> vectors, const std::string& name = "vectors") {
  if (vectors.rows() < 1 || vectors.cols() < 1) {
    SIMGR_THROW(DataError(name + ": expected at least one row and one column, found [" +
                          std::to_string(vectors.rows()) + ", " + std::to_string(vectors.cols()) +
                          "]"));
  }
  for (Index row = 0; row < vectors.rows(); ++row) {
    if (!(squared_length(vectors.row(row)) < 1e37f)) {
      const auto widest = std::find_if_not(vectors.row(row).begin(), vectors.row(row).end(),
                                           [](float value) { return std::abs(value) < 1e15f; });
      const Index column = widest - vectors.row(row).begin();
      SIMGR_THROW(
          DataError(name + ": row " + std::to_string(row) +
                    (column < vectors.cols() ? ", column " + std::to_string(column) +
                                                   ": expected a finite number below 1e15, found " +
                                                   std::to_string(*widest)
                                             : std::string(": too long to square"))));
    }
  }
}

/// Runs work over all rows in tiles whose borders depend on nothing but the number of rows, so that
/// the results are the same bits on any number of threads.
class RowTiles {
public:
  static constexpr Index tile = 240;  // a multiple of the 48 rows Eigen's AVX-512 kernel takes

  explicit RowTiles(Index rows)
      : rows_(rows), tiles_((rows + tile - 1) / tile),
        arenas_(static_cast<std::size_t>(std::min<Index>(tiles_, 16))) {}

  /// work(context, first row, rows) for every tile; tiles of one shard one after another.
  template <class E, class Work>
  void for_each(E& executor, Work&& work) {
    const auto shards = static_cast<Index>(arenas_.size());
    executor.for_each(shards, [&](Index shard) {
      Arena& arena = arenas_[static_cast<std::size_t>(shard)];
      for (Index t = tiles_ * shard / shards; t < tiles_ * (shard + 1) / shards; ++t) {
        arena.reset();
        cpu::Context ctx{.arena = arena};
        work(ctx, t * tile, std::min(tile, rows_ - t * tile));
      }
    });
  }

private:
  Index rows_, tiles_;
  std::vector<Arena> arenas_;
};

/// columns [width, rows] = rows [rows, width]', in squares that stay in the first cache.
inline void transpose(MatrixArg<float> rows, Matrix<float> columns) noexcept {
  constexpr Index side = 16;
  const Index count = rows.rows(), width = rows.cols();
  for (Index r = 0; r < count; r += side) {
    for (Index k = 0; k < width; k += side) {
      for (Index j = k; j < std::min(k + side, width); ++j) {
        for (Index i = r; i < std::min(r + side, count); ++i) {
          columns.data()[j * count + i] = rows.data()[i * width + j];
        }
      }
    }
  }
}

/// Half squared lengths of centroids [codes]; infinite for one that repeats a lower one, which is
/// how it is never chosen.
///
/// Cost  O(codes · (width + log(codes)))
inline std::vector<float> half_squares(MatrixArg<float> centroids) {
  std::vector<float> half;
  std::vector<Index> order;
  for (Index c = 0; c < centroids.rows(); ++c) {
    half.push_back(squared_length(centroids.row(c)) / 2);
    order.push_back(c);
  }
  const auto compare = [&](Index a, Index b) {  // three-way, by length and then by content
    const float x = half[static_cast<std::size_t>(a)], y = half[static_cast<std::size_t>(b)];
    if (x != y) {
      return x < y ? -1 : 1;
    }
    const auto [at, other] =
        std::mismatch(centroids.row(a).begin(), centroids.row(a).end(), centroids.row(b).begin());
    return at == centroids.row(a).end() ? 0 : *at < *other ? -1 : 1;
  };
  std::sort(order.begin(), order.end(), [&](Index a, Index b) {
    const int sign = compare(a, b);
    return sign != 0 ? sign < 0 : a < b;
  });
  std::vector<Index> repeats;
  for (std::size_t i = 1; i < order.size(); ++i) {
    if (compare(order[i - 1], order[i]) == 0) {
      repeats.push_back(order[i]);
    }
  }
  for (const Index c : repeats) {
    half[static_cast<std::size_t>(c)] = std::numeric_limits<float>::infinity();
  }
  return half;
}

/// What a search found for every row of a tile, all [rows]. A score is x·c - |c|² / 2: of two
/// centroids the nearer one has the larger,
///
///   |x - c|² = |x|² - 2 score
struct Nearest {
  Vector<std::int32_t> labels;  // the nearest code
  Vector<float> scores;         // its score
  Vector<float> rivals;         // the best score of all other codes

  static Nearest take(cpu::Context& ctx, Index rows) {
    return {ctx.take<std::int32_t>(rows), ctx.take<float>(rows), ctx.take<float>(rows)};
  }
  void clear() const noexcept {
    std::fill(labels.begin(), labels.end(), 0);
    std::fill(scores.begin(), scores.end(), -std::numeric_limits<float>::infinity());
    std::fill(rivals.begin(), rivals.end(), -std::numeric_limits<float>::infinity());
  }
};

/// Centroids, or some of them, prepared for search; ties go to the lower code.
class NearestCentroid {
public:
  explicit NearestCentroid(MatrixArg<float> centroids)
      : centroids_(centroids.rows(), centroids.cols()), half_(half_squares(centroids)),
        codes_(static_cast<std::size_t>(centroids.rows())) {
    std::copy_n(centroids.begin(), centroids.size(), centroids_.values.begin());
    std::iota(codes_.begin(), codes_.end(), 0);
  }
  /// Only the given codes, in rising order; `half` are the half_squares of all.
  NearestCentroid(MatrixArg<float> centroids, std::span<const float> half,
                  std::vector<std::int32_t> codes)
      : centroids_(std::ssize(codes), centroids.cols()), codes_(std::move(codes)) {
    Index row = 0;
    for (const std::int32_t code : codes_) {
      half_.push_back(half[static_cast<std::size_t>(code)]);
      std::copy_n(centroids.row(code).begin(), centroids.cols(),
                  centroids_.view().row(row++).begin());
    }
  }

  /// Searches for a tile of rows that stand as columns: x [width, rows], rows <= RowTiles::tile.
  template <class Ctx>
  void find(Ctx& ctx, MatrixArg<float> x, const Nearest& found) const {
    found.clear();
    merge(ctx, x, found);
  }

  /// The same, among these codes and what is found already (from lower codes).
  ///
  /// The scores stand as [codes, rows] too, so that the search runs along the rows, vector by
  /// vector, while the tile is still in cache; those of short rows never leave the registers.
  template <class Ctx>
  void merge(Ctx& ctx, MatrixArg<float> x, const Nearest& found) const {
    constexpr Index step = 256, short_width = 48;
    const Index rows = x.cols(), codes = centroids_.rows;
    if (x.rows() <= short_width) {
      cpu::merge_nearest_products(centroids_, half_.data(), codes_.data(), x, found.scores,
                                  found.rivals, found.labels);
      return;
    }
    const Arena::Scope scope(ctx.arena);
    const Matrix<float> products = ctx.template take<float>(std::min(step, codes), rows);
    std::int32_t* const labels = found.labels.data();
    float* const best = found.scores.data();
    float* const second = found.rivals.data();
    for (Index first = 0; first < codes; first += step) {
      const Index count = std::min(step, codes - first);
      cpu::gemm_nn<float>(ctx, centroids_.view().slice(first, count), x, products.slice(0, count),
                          Write::assign);
      for (Index c = 0; c < count; ++c) {
        const float* const row = products.data() + c * rows;
        const float half = half_[static_cast<std::size_t>(first + c)];
        const std::int32_t code = codes_[static_cast<std::size_t>(first + c)];
        for (Index r = 0; r < rows; ++r) {
          const float score = row[r] - half;
          const bool better = score > best[r];
          const float loser = better ? best[r] : score;
          second[r] = loser > second[r] ? loser : second[r];
          best[r] = better ? score : best[r];
          labels[r] = better ? code : labels[r];
        }
      }
    }
  }

private:
  OwnedMatrix<float> centroids_;
  std::vector<float> half_;
  std::vector<std::int32_t> codes_;
};

}  // namespace simgr::SIMGR_ABI::tokenizer
