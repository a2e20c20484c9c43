// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <numeric>  // std::partial_sum
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <simgr/core/executor.hpp>
#include <simgr/core/owned_matrix.hpp>
#include <simgr/core/rng.hpp>
#include <simgr/tokenizer/nearest_centroid.hpp>

namespace simgr::SIMGR_ABI::tokenizer {

/// Numbers of kmeans; only `codes` is checked there.
struct KMeansConfig {
  Index codes = 256;       // centroids
  Index iterations = 20;   // Lloyd updates; fewer when nothing changes any more
  std::uint64_t seed = 1;  // of the k-means++ draws
  std::uint64_t stream = 0;
};

/// What k-means found.
struct KMeans {
  OwnedMatrix<float> centroids;      // [codes, width]
  std::vector<std::int32_t> labels;  // [rows], the nearest centroid of each row
  double inertia = 0;                // sum of the squared distances to it
};

namespace detail {

/// One run of k-means over rows x [rows, width]: what seeding, assignment and update share.
template <class E>
class Lloyd {
public:
  Lloyd(MatrixArg<float> x, Index codes, E& executor)
      : x_(x), executor_(executor), tiles_(x.rows()), centroids_(codes, x.cols()),
        columns_(static_cast<std::size_t>(x.size())), labels_(static_cast<std::size_t>(x.rows())),
        scores_(labels_.size()), rivals_(labels_.size()),
        changed_(static_cast<std::size_t>(codes)) {
    // Every product reads the rows as columns: turned round once, not at every product.
    tiles_.for_each(executor_, [&](cpu::Context&, Index first, Index count) {
      transpose(x_.slice(first, count), columns_of(first, count));
    });
  }

  /// Labels from the given rows as centroids.
  void start_from(std::span<const Index> rows) {
    for (Index c = 0; c < centroids_.rows; ++c) { copy_row(rows[static_cast<std::size_t>(c)], c); }
    assign_all();
  }

  /// The same from given centroids [codes, width].
  void start_from(MatrixArg<float> centroids) {
    std::copy(centroids.begin(), centroids.end(), centroids_.values.begin());
    assign_all();
  }

  /// k-means++: every next centroid is a row drawn with probability proportional to its squared
  /// distance to the nearest one so far. The distances are brought up to date in batches, one
  /// product for many centroids; a draw from the stale ones is kept with probability true / stale,
  /// which is the same distribution. Ends early when every row is a centroid: the codes left over
  /// repeat the first and are never used.
  ///
  /// Source  Arthur and Vassilvitskii, "k-means++", SODA 2007
  void seed(Rng rng) {
    const Index rows = x_.rows(), codes = centroids_.rows;
    distances_.resize(static_cast<std::size_t>(rows));
    nearest_of(0, rows).clear();
    cumulative_.resize(static_cast<std::size_t>(rows));
    squares_.resize(static_cast<std::size_t>(rows));
    for (Index row = 0; row < rows; ++row) {
      squares_[static_cast<std::size_t>(row)] = squared_length(x_.row(row));
    }
    copy_row(rng.below(rows), 0);
    Index known = 0, placed = 1;  // centroids in distances_, centroids chosen
    int refused = 0;
    while (placed < codes) {
      if (placed - known >= std::clamp<Index>(known, 1, 64) || refused >= 16) {
        refresh(known, placed);
        known = placed;
        refused = 0;
      }
      const double total = cumulative_.back();
      if (!(total > 0)) {
        break;
      }
      const auto at =
          std::upper_bound(cumulative_.begin(), cumulative_.end(), rng.uniform() * total);
      if (at == cumulative_.end()) {
        continue;
      }
      const Index row = at - cumulative_.begin();
      const auto stale = static_cast<double>(distances_[static_cast<std::size_t>(row)]);
      double fresh = stale;
      for (Index c = known; c < placed; ++c) { fresh = std::min(fresh, distance_between(row, c)); }
      if (rng.uniform() * stale < fresh) {
        copy_row(row, placed++);
        refused = 0;
      } else {
        ++refused;
      }
    }
    for (Index c = placed; c < codes; ++c) {
      std::copy_n(centroids_.values.begin(), centroids_.cols,
                  centroids_.values.begin() + c * centroids_.cols);
    }
    refresh(known, placed);
    half_ = half_squares(centroids_);
  }

  /// Nearest centroids after an update, exactly, from those alone that moved; false if none did.
  ///
  ///   own centroid at rest  the nearest is that one or a centroid that moved
  ///   own centroid moved    the nearest of those that moved, if its score beats `rivals`, which
  ///                         bounds the scores of all at rest; else the row is searched anew
  ///
  /// On the residuals of text vectors this leaves 30 % of the products.
  ///
  /// Source  Kaukoranta, Fränti, Nevalainen, "A fast exact GLA based on code vector activity
  ///         detection", IEEE Transactions on Image Processing 2000
  bool assign() {
    std::vector<float> half = half_squares(centroids_);
    std::vector<std::int32_t> moved;
    for (std::size_t c = 0; c < half.size(); ++c) {
      changed_[c] = changed_[c] != 0 || half[c] != half_[c] ? 1 : 0;
      if (changed_[c] != 0) {
        moved.push_back(static_cast<std::int32_t>(c));
      }
    }
    half_ = std::move(half);
    if (moved.empty()) {
      return false;
    }
    if (4 * moved.size() > 3 * changed_.size()) {
      assign_all();
      return true;
    }
    const NearestCentroid among_moved(centroids_, half_, std::move(moved)), among_all(centroids_);
    tiles_.for_each(executor_, [&](cpu::Context& ctx, Index first, Index count) {
      const Matrix<float> columns = columns_of(first, count);
      const Nearest rows = nearest_of(first, count), found = Nearest::take(ctx, count);
      const Vector<Index> open = ctx.take<Index>(count);
      among_moved.find(ctx, columns, found);
      Index opened = 0;
      for (Index r = 0; r < count; ++r) {
        const float score = found.scores[r], second = found.rivals[r];
        if (changed_[static_cast<std::size_t>(rows.labels[r])] == 0) {
          const bool better = score > rows.scores[r] ||
                              (score == rows.scores[r] && found.labels[r] < rows.labels[r]);
          rows.rivals[r] =
              std::max(rows.rivals[r], better ? std::max(rows.scores[r], second) : score);
          rows.scores[r] = better ? score : rows.scores[r];
          rows.labels[r] = better ? found.labels[r] : rows.labels[r];
        } else if (score > rows.rivals[r]) {
          rows.labels[r] = found.labels[r];
          rows.scores[r] = score;
          rows.rivals[r] = std::max(rows.rivals[r], second);
        } else {
          open[opened++] = r;
        }
      }
      if (opened > 0) {
        const Matrix<float> picked = ctx.take<float>(columns.rows(), opened);
        for (Index k = 0; k < columns.rows(); ++k) {
          for (Index i = 0; i < opened; ++i) { picked(k, i) = columns(k, open[i]); }
        }
        const Nearest anew = Nearest::take(ctx, opened);
        among_all.find(ctx, picked, anew);
        for (Index i = 0; i < opened; ++i) {
          rows.labels[open[i]] = anew.labels[i];
          rows.scores[open[i]] = anew.scores[i];
          rows.rivals[open[i]] = anew.rivals[i];
        }
      }
    });
    return true;
  }

  /// Centroids become the means of their rows, summed in double in the order of the rows; those
  /// that kept their rows stay. A code without rows first takes the row farthest from its centroid.
  void update() {
    const Index codes = centroids_.rows, width = x_.cols();
    group();
    if (std::adjacent_find(first_.begin(), first_.end()) != first_.end()) {
      revive();
      group();
    }
    std::fill(changed_.begin(), changed_.end(), averaged_.empty() ? 1 : 0);
    for (std::size_t row = 0; row < averaged_.size(); ++row) {
      if (averaged_[row] != labels_[row]) {
        changed_[static_cast<std::size_t>(averaged_[row])] = 1;
        changed_[static_cast<std::size_t>(labels_[row])] = 1;
      }
    }
    averaged_ = labels_;
    const Index shards = std::min<Index>(codes, 16);
    executor_.for_each(shards, [&](Index shard) {
      std::vector<double> sum(static_cast<std::size_t>(width));
      for (Index c = codes * shard / shards; c < codes * (shard + 1) / shards; ++c) {
        const Index begin = first_[static_cast<std::size_t>(c)],
                    end = first_[static_cast<std::size_t>(c + 1)];
        std::uint8_t& changed = changed_[static_cast<std::size_t>(c)];
        if (begin == end || changed == 0) {
          changed = 0;
          continue;
        }
        std::fill(sum.begin(), sum.end(), 0.0);
        double* const into = sum.data();
        const auto row = [&](Index i) {
          return x_.data() + order_[static_cast<std::size_t>(i)] * width;
        };
        Index i = begin;
        for (; i + 4 <= end; i += 4) {  // four rows at a time hide the way to memory
          const float *const p = row(i), *const q = row(i + 1), *const r = row(i + 2),
                             *const s = row(i + 3);
          for (Index k = 0; k < width; ++k) {
            into[k] += (static_cast<double>(p[k]) + static_cast<double>(q[k])) +
                       (static_cast<double>(r[k]) + static_cast<double>(s[k]));
          }
        }
        for (; i < end; ++i) {
          const float* const p = row(i);
          for (Index k = 0; k < width; ++k) { into[k] += static_cast<double>(p[k]); }
        }
        const double scale = 1.0 / static_cast<double>(end - begin);
        float* const centroid = centroids_.values.data() + c * width;
        changed = 0;
        for (Index k = 0; k < width; ++k) {
          const auto mean = static_cast<float>(sum[static_cast<std::size_t>(k)] * scale);
          changed = mean != centroid[k] ? 1 : changed;
          centroid[k] = mean;
        }
      }
    });
  }

  void iterate(Index iterations) {
    for (Index i = 0; i < iterations; ++i) {
      update();
      if (!assign()) {
        break;
      }
    }
  }

  KMeans finish() && {
    double inertia = 0;
    for (Index row = 0; row < x_.rows(); ++row) { inertia += distance_of(row); }
    return {std::move(centroids_), std::move(labels_), inertia};
  }

private:
  void assign_all() {
    half_ = half_squares(centroids_);
    const NearestCentroid search(centroids_);
    tiles_.for_each(executor_, [&](cpu::Context& ctx, Index first, Index count) {
      search.find(ctx, columns_of(first, count), nearest_of(first, count));
    });
  }
  Nearest nearest_of(Index first, Index count) {
    return {{labels_.data() + first, {count}},
            {scores_.data() + first, {count}},
            {rivals_.data() + first, {count}}};
  }
  Matrix<float> columns_of(Index first, Index count) {  // [width, rows of the tile]
    return {columns_.data() + first * x_.cols(), {x_.cols(), count}};
  }
  void copy_row(Index row, Index code) {
    std::copy_n(x_.row(row).begin(), x_.cols(), centroids_.values.begin() + code * x_.cols());
  }
  double distance_between(Index row, Index code) const {
    return static_cast<double>(squared_distance(x_.row(row), centroids_.view().row(code)));
  }
  double distance_of(Index row) const {
    return distance_between(row, labels_[static_cast<std::size_t>(row)]);
  }

  /// Takes centroids [known, placed) into the nearest ones, their distances and the running sum.
  void refresh(Index known, Index placed) {
    const MatrixArg<float> centroids = centroids_;
    std::vector<float> half;
    std::vector<std::int32_t> added;
    for (Index c = 0; c < placed; ++c) {
      half.push_back(squared_length(centroids.row(c)) / 2);
      if (c >= known) {
        added.push_back(static_cast<std::int32_t>(c));
      }
    }
    const NearestCentroid search(centroids, half, std::move(added));
    tiles_.for_each(executor_, [&](cpu::Context& ctx, Index first, Index count) {
      const Nearest rows = nearest_of(first, count);
      search.merge(ctx, columns_of(first, count), rows);
      for (Index r = 0; r < count; ++r) {
        if (rows.labels[r] < known) {
          continue;
        }
        const float squares = squares_[static_cast<std::size_t>(first + r)];
        float distance = squares - 2 * rows.scores[r];
        if (distance < 1e-4f * squares) {  // the formula has lost its digits
          distance = squared_distance(x_.row(first + r), centroids.row(rows.labels[r]));
        }
        distances_[static_cast<std::size_t>(first + r)] = distance;
      }
    });
    double sum = 0;
    for (std::size_t row = 0; row < distances_.size(); ++row) {
      sum += static_cast<double>(distances_[row]);
      cumulative_[row] = sum;
    }
  }

  /// Rows sorted by label, in their own order within one: order_[first_[c] … first_[c + 1]).
  void group() {
    first_.assign(static_cast<std::size_t>(centroids_.rows) + 1, 0);
    for (const std::int32_t label : labels_) { ++first_[static_cast<std::size_t>(label) + 1]; }
    std::partial_sum(first_.begin(), first_.end(), first_.begin());
    order_.resize(labels_.size());
    std::vector<Index> next = first_;
    for (std::size_t row = 0; row < labels_.size(); ++row) {
      order_[static_cast<std::size_t>(next[static_cast<std::size_t>(labels_[row])]++)] =
          static_cast<Index>(row);
    }
  }

  /// Gives every code without rows the farthest row left, as long as one is off its centroid.
  void revive() {
    std::vector<std::pair<double, Index>> farthest;
    for (Index row = 0; row < x_.rows(); ++row) {
      const double distance = distance_of(row);
      if (distance > 0) {
        farthest.emplace_back(-distance, row);
      }
    }
    std::sort(farthest.begin(), farthest.end());
    std::size_t next = 0;
    for (Index c = 0; c < centroids_.rows && next < farthest.size(); ++c) {
      if (first_[static_cast<std::size_t>(c)] == first_[static_cast<std::size_t>(c + 1)]) {
        const auto row = static_cast<std::size_t>(farthest[next++].second);
        labels_[row] = static_cast<std::int32_t>(c);
        rivals_[row] = std::max(rivals_[row], scores_[row]);  // the code it left is a rival now
      }
    }
  }

  MatrixArg<float> x_;
  E& executor_;
  RowTiles tiles_;
  OwnedMatrix<float> centroids_;
  std::vector<float> columns_;  // the rows, every tile as [width, rows of the tile]
  std::vector<std::int32_t> labels_, averaged_;  // [rows]; averaged_: at the last update
  std::vector<float> scores_, rivals_;           // [rows], see Nearest; rivals_ may be too large
  std::vector<float> half_;                      // [codes], half_squares of the last assignment
  std::vector<std::uint8_t> changed_;            // [codes], moved by the last update
  std::vector<float> squares_, distances_;       // [rows]
  std::vector<double> cumulative_;               // [rows], running sum of distances_
  std::vector<Index> first_, order_;             // [codes + 1], [rows]
};

}  // namespace detail

/// Lloyd's k-means under the squared Euclidean distance; ties to the lower index.
///
/// @param start_rows  [codes] rows to start from; empty: k-means++
///
/// Shapes   vectors [rows, width] → centroids [codes, width], labels [rows]
/// Cost     O(iterations · rows · codes · width) in products at most, less as centroids come to
///          rest; k-means++ costs as much as one iteration. Memory: one copy of the vectors
/// Results  a pure function of vectors and config: the same bits on any executor. Labels belong to
///          the centroids returned (one assignment after the last update). With fewer distinct rows
///          than codes, codes stay unused.
/// Errors   ConfigError: no code, or not as many as start rows
///          DataError: a start row that is none, or vectors that check_vectors refuses
/// Source   Lloyd 1982
template <class E = Serial>
  requires Executor<std::remove_reference_t<E>>
      KMeans kmeans(MatrixArg<float> vectors, const KMeansConfig& config = {},
                    std::span<const Index> start_rows = {}, E&& executor = E{}) {
    check_vectors(vectors);
    if (config.codes < 1 || (!start_rows.empty() && std::ssize(start_rows) != config.codes)) {
      SIMGR_THROW(ConfigError("codes: expected at least 1 and as many as start rows, found " +
                              std::to_string(config.codes)));
    }
    for (const Index row : start_rows) {
      if (row < 0 || row >= vectors.rows()) {
        SIMGR_THROW(DataError("start row " + std::to_string(row) + " of " +
                              std::to_string(vectors.rows()) + " rows"));
      }
    }
    detail::Lloyd<std::remove_reference_t<E>> run(vectors, config.codes, executor);
    if (start_rows.empty()) {
      run.seed(Rng(config.seed, config.stream));
    } else {
      run.start_from(start_rows);
    }
    run.iterate(config.iterations);
    return std::move(run).finish();
  }

/// The same from given centroids [codes, width]: going on where another run ended.
///
/// Errors  ShapeError: centroids of another width;  DataError: vectors that check_vectors refuses
template <class E = Serial>
  requires Executor<std::remove_reference_t<E>> KMeans continue_kmeans(MatrixArg<float> vectors,
                                                                       MatrixArg<float> centroids,
                                                                       Index iterations,
                                                                       E&& executor = E{}) {
    check_vectors(vectors);
    if (centroids.rows() < 1 || centroids.cols() != vectors.cols()) {
      SIMGR_THROW(ShapeError("centroids: expected [codes, " + std::to_string(vectors.cols()) +
                             "], found [" + std::to_string(centroids.rows()) + ", " +
                             std::to_string(centroids.cols()) + "]"));
    }
    detail::Lloyd<std::remove_reference_t<E>> run(vectors, centroids.rows(), executor);
    run.start_from(centroids);
    run.iterate(iterations);
    return std::move(run).finish();
  }

}  // namespace simgr::SIMGR_ABI::tokenizer
