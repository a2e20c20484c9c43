// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>  // std::iota
#include <span>
#include <string>
#include <vector>

#include <simgr/core/arena.hpp>
#include <simgr/core/error.hpp>
#include <simgr/cpu/gemm.hpp>

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

inline float squared_length(VectorArg<float> a) noexcept {
  const float* const x = a.data();
  return detail::lane_sum(a.size(), [x](Index i) { return x[i] * x[i]; });
}

/// Exactly zero for equal rows.
inline float squared_distance(VectorArg<float> a, VectorArg<float> b) noexcept {
  const float *const x = a.data(), *const y = b.data();
  return detail::lane_sum(a.size(), [x, y](Index i) { return (x[i] - y[i]) * (x[i] - y[i]); });
}

/// @throws DataError  no row, no column, or a row that is not finite or too long to square
inline void check_vectors(MatrixArg<float> vectors) {
  if (vectors.rows() < 1 || vectors.cols() < 1) {
    SIMGR_THROW(DataError("vectors: expected at least one row and one column, found [" +
                          std::to_string(vectors.rows()) + ", " + std::to_string(vectors.cols()) +
                          "]"));
  }
  for (Index row = 0; row < vectors.rows(); ++row) {
    if (!(squared_length(vectors.row(row)) < 1e37f)) {
      const auto widest = std::find_if_not(vectors.row(row).begin(), vectors.row(row).end(),
                                           [](float value) { return std::abs(value) < 1e15f; });
      const Index column = widest - vectors.row(row).begin();
      SIMGR_THROW(
          DataError("vectors: row " + std::to_string(row) +
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

/// Centroids prepared for search: who is nearest, ties to the lower index.
class NearestCentroid {
public:
  explicit NearestCentroid(MatrixArg<float> centroids) : centroids_(centroids) { prepare(); }

  /// Labels of a tile of rows that stand as columns: x [width, rows], rows <= RowTiles::tile.
  ///
  ///   |x - c|² = |x|² - 2 (x·c - |c|² / 2):   the search needs the bracket only
  ///
  /// The scores stand as [codes, rows] too, so that the search runs along the rows, vector by
  /// vector, while the tile is still in cache.
  void find(cpu::Context& ctx, MatrixArg<float> x, std::span<std::int32_t> labels) const {
    constexpr Index step = 256;
    const Index rows = x.cols(), codes = centroids_.rows();
    const Arena::Scope scope(ctx.arena);
    const Matrix<float> scores = ctx.take<float>(std::min(step, codes), rows);
    const Vector<float> best = ctx.take<float>(rows);
    std::fill(best.begin(), best.end(), -std::numeric_limits<float>::infinity());
    std::fill(labels.begin(), labels.end(), 0);
    float* const best_data = best.data();
    std::int32_t* const label_data = labels.data();
    for (Index first = 0; first < codes; first += step) {
      const Index count = std::min(step, codes - first);
      cpu::gemm_nn<float>(ctx, centroids_.slice(first, count), x, scores.slice(0, count),
                          Write::assign);
      for (Index c = 0; c < count; ++c) {
        const float* const row = scores.data() + c * rows;
        const float half = half_squares_[static_cast<std::size_t>(first + c)];
        const auto code = static_cast<std::int32_t>(first + c);
        for (Index r = 0; r < rows; ++r) {
          const float score = row[r] - half;
          const bool better = score > best_data[r];
          best_data[r] = better ? score : best_data[r];
          label_data[r] = better ? code : label_data[r];
        }
      }
    }
  }

private:
  // Half squared lengths; infinite for a centroid that repeats a lower one: never chosen.
  void prepare() {
    const Index codes = centroids_.rows();
    half_squares_.resize(static_cast<std::size_t>(codes));
    for (Index c = 0; c < codes; ++c) {
      half_squares_[static_cast<std::size_t>(c)] = squared_length(centroids_.row(c)) / 2;
    }
    std::vector<Index> order(static_cast<std::size_t>(codes));
    std::iota(order.begin(), order.end(), Index{0});
    const auto compare = [&](Index a, Index b) {  // three-way, by length and then by content
      const float x = half_squares_[static_cast<std::size_t>(a)],
                  y = half_squares_[static_cast<std::size_t>(b)];
      if (x != y) {
        return x < y ? -1 : 1;
      }
      const auto rows = std::mismatch(centroids_.row(a).begin(), centroids_.row(a).end(),
                                      centroids_.row(b).begin());
      if (rows.first == centroids_.row(a).end()) {
        return 0;
      }
      return *rows.first < *rows.second ? -1 : 1;
    };
    std::sort(order.begin(), order.end(), [&](Index a, Index b) {
      const int order_of = compare(a, b);
      return order_of != 0 ? order_of < 0 : a < b;
    });
    std::vector<Index> repeats;
    for (std::size_t i = 1; i < order.size(); ++i) {
      if (compare(order[i - 1], order[i]) == 0) {
        repeats.push_back(order[i]);
      }
    }
    for (const Index c : repeats) {
      half_squares_[static_cast<std::size_t>(c)] = std::numeric_limits<float>::infinity();
    }
  }

  MatrixArg<float> centroids_;
  std::vector<float> half_squares_;
};

}  // namespace simgr::SIMGR_ABI::tokenizer
