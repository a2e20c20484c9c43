// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include <simgr/core/error.hpp>
#include <simgr/core/executor.hpp>
#include <simgr/cpu/rank_products.hpp>
#include <simgr/data/split.hpp>
#include <simgr/eval/metrics.hpp>
#include <simgr/ranker/seen_items.hpp>

namespace simgr::SIMGR_ABI::eval {

/// How an evaluation ranks, at which lengths of lists, and in which parts it works.
struct EvaluateOptions {
  ranker::Seen seen = ranker::Seen::keep;
  std::vector<Index> cutoffs{1, 5, 10, 20};
  bool half_ties = false;  // rank = expected place under random tie breaking, not the served place
  Index tile_rows = 64;    // users scored at a time
  Index shards = 1;        // parts of the work; results do not depend on it
};

/// Everything at one list length. Fractions from 0 to 1; NaN is absent.
struct MetricsAt {
  Index k = 0;
  Accuracy all;         // mean over all users
  Accuracy head, tail;  // users whose target is in the head or in the tail of the catalogue
  Spread lists;
  double mean_popularity = absent;   // ARP
  double group_unfairness = absent;  // MGU
  std::vector<Index> frequency;      // [items] lists that hold the item
};

/// What an evaluation measured. Fractions from 0 to 1; NaN is absent.
struct Metrics {
  Index users = 0, items = 0;
  ranker::Seen seen = ranker::Seen::keep;
  std::vector<MetricsAt> cutoffs;  // in the order of the options
  double mrr = absent;             // over the full ranking
  Index ties = 0;                  // users whose target shares its score with another item
  Index head_users = 0;            // users whose target is in the head; 0 if popularity is unknown
  std::vector<double> ranks;       // [users]
  double seconds = 0;              // wall time of the evaluation, the scoring included

  /// The metrics at list length k; k must be one of the cutoffs.
  const MetricsAt& at(Index k) const {
    const auto found = std::find_if(cutoffs.begin(), cutoffs.end(),
                                    [&](const MetricsAt& metrics) { return metrics.k == k; });
    if (found == cutoffs.end()) {
      SIMGR_THROW(ConfigError("metrics at " + std::to_string(k) + " were not computed"));
    }
    return *found;
  }
};

namespace detail {

/// What is gathered about one user while the scores pass by.
struct UserPass {
  cpu::BestItems best;
  std::span<const ItemId> skip;  // ascending: ranked by an adjusted score, never by their own
  ItemId target = 0;
  float target_score = 0;
  Standing standing;
  Index not_a_number = -1;  // the first item whose score is NaN

  void compare(float score, Index item, Index sign) noexcept {
    if (score > target_score) {
      standing.better += sign;
    } else if (score == target_score) {
      standing.ties += sign;
      standing.ties_before += item < target ? sign : 0;
    } else if (std::isnan(score) && not_a_number < 0) {
      not_a_number = item;
    }
  }

  /// Takes the scores of the items first …; each differs from exact(item) by at most `margin`.
  template <class Exact>
  void read(std::span<const float> scores, Index first, float margin, Exact&& exact) noexcept {
    const float above = target_score + margin, below = target_score - margin;
    const auto count = static_cast<Index>(scores.size());
    const float floor = best.size() > 0
                            ? best.threshold()
                            : cpu::reached_by(scores.data(), count,
                                              best.capacity() + static_cast<Index>(skip.size())) -
                                  margin;
    for (Index begin = 0; begin < count; begin += cpu::scan_block) {
      const Index block = std::min(cpu::scan_block, count - begin);
      const float* part = scores.data() + begin;
      const float bound = std::max(best.threshold(), floor) - margin;
      int better = 0, not_worse = 0, reached = 0;
      const auto test = [&](Index length) {
        for (Index i = 0; i < length; ++i) {
          better += static_cast<int>(part[i] > above);
          not_worse += static_cast<int>(!(part[i] < below));
          reached |= static_cast<int>(!(part[i] < bound));
        }
      };
      block == cpu::scan_block ? test(cpu::scan_block) : test(block);
      standing.better += better;
      if (better != not_worse) {  // too close to call, or NaN
        for (Index i = 0; i < block; ++i) {
          if (!(part[i] < below) && !(part[i] > above)) {
            compare(exact(first + begin + i), first + begin + i, 1);
          }
        }
      }
      if (reached != 0) {
        cpu::visit_reaching(
            part, block, [&] { return std::max(best.threshold(), floor) - margin; },
            [&](Index i) {
              const auto item = static_cast<ItemId>(first + begin + i);
              if (!skips(item)) {
                best.offer(exact(item), item);
              }
            });
      }
    }
  }

  bool skips(ItemId item) const noexcept {
    return !skip.empty() && std::binary_search(skip.begin(), skip.end(), item);
  }

  /// Before the first score: the target's own, and the places of items with a score of their own.
  void begin(float score, ranker::Seen seen) noexcept {
    target_score = adjusted(target, score, seen);
    if (seen == ranker::Seen::zero) {
      for (const ItemId item : skip) { best.offer(0.0f, item); }
    }
  }
  /// After the last: the target is no rival of its own, and items that were read by their own score
  /// are counted by the adjusted one.
  template <class Exact>
  void end(ranker::Seen seen, Exact&& exact) noexcept {
    compare(exact(target), target, -1);
    for (const ItemId item : skip) {
      if (item != target) {
        compare(exact(item), item, -1);
        compare(adjusted(item, 0, seen), item, 1);
      }
    }
  }
  float adjusted(ItemId item, float score, ranker::Seen seen) const noexcept {
    return !skips(item)                 ? score
           : seen == ranker::Seen::zero ? 0.0f
                                        : -std::numeric_limits<float>::infinity();
  }
};

/// All users of an evaluation: checked input, scratch for every user, and the sums at the end.
class Gathering {
public:
  Gathering(const data::Evaluation& evaluation, Index items, std::span<const Index> popularity,
            const EvaluateOptions& options)
      : evaluation_(evaluation), items_(items), popularity_(popularity), options_(options),
        start_(std::chrono::steady_clock::now()) {
    check();
    const auto count = evaluation.targets.size();
    users_.resize(count);
    for (const Index k : options.cutoffs) { longest_ = std::max(longest_, std::min(k, items)); }
    keys_.resize(count * static_cast<std::size_t>(longest_));
    if (options.seen != ranker::Seen::keep) {
      seen_ = evaluation.histories.values;
    }
    for (std::size_t u = 0; u < count; ++u) {
      UserPass& user = users_[u];
      user.target = evaluation.targets[u];
      const auto places = static_cast<std::size_t>(longest_);
      user.best = cpu::BestItems(std::span(keys_).subspan(u * places, places));
      if (!seen_.empty()) {
        const auto begin = seen_.begin() + evaluation.histories.offsets[u];
        const auto end = seen_.begin() + evaluation.histories.offsets[u + 1];
        std::sort(begin, end);
        user.skip = std::span<const ItemId>(begin, std::unique(begin, end));
      }
    }
  }

  UserPass& user(Index u) noexcept { return users_[static_cast<std::size_t>(u)]; }

  /// Errors  DataError: a score was NaN; names the first such user, and that user's first item
  Metrics finish() {
    Metrics metrics;
    metrics.users = static_cast<Index>(users_.size());
    metrics.items = items_;
    metrics.seen = options_.seen;
    const std::vector<char> head = head_items(popularity_);
    std::vector<double> of_head, of_tail;
    for (std::size_t u = 0; u < users_.size(); ++u) {
      const UserPass& user = users_[u];
      if (user.not_a_number >= 0) {
        SIMGR_THROW(DataError("the score of item " + std::to_string(user.not_a_number) +
                              " for user " + name_of_user(u) + " is NaN"));
      }
      const double rank = options_.half_ties ? user.standing.half_tie_rank() : user.standing.rank();
      metrics.ranks.push_back(rank);
      metrics.ties += user.standing.ties > 0 ? 1 : 0;
      if (!head.empty()) {
        (head[static_cast<std::size_t>(user.target)] != 0 ? of_head : of_tail).push_back(rank);
      }
    }
    metrics.head_users = static_cast<Index>(of_head.size());
    metrics.mrr = mean_reciprocal_rank(metrics.ranks);
    for (const Index k : options_.cutoffs) {
      MetricsAt at;
      at.k = k;
      at.all = accuracy(metrics.ranks, k);
      at.head = accuracy(of_head, k);
      at.tail = accuracy(of_tail, k);
      at.frequency.assign(static_cast<std::size_t>(items_), 0);
      metrics.cutoffs.push_back(std::move(at));
    }
    count_lists(metrics);
    for (MetricsAt& at : metrics.cutoffs) {
      at.lists = spread(at.frequency);
      if (!popularity_.empty()) {
        at.mean_popularity = mean_popularity(at.frequency, popularity_);
        at.group_unfairness = mean_group_unfairness(at.frequency, popularity_, head);
      }
    }
    metrics.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    return metrics;
  }

private:
  void check() const {
    const auto users = evaluation_.targets.size();
    if (items_ <= 0) {
      SIMGR_THROW(DataError("evaluation of an empty catalogue"));
    }
    if (!popularity_.empty() && static_cast<Index>(popularity_.size()) != items_) {
      SIMGR_THROW(ShapeError("popularity: expected [" + std::to_string(items_) + "], found [" +
                             std::to_string(popularity_.size()) + "]"));
    }
    if (evaluation_.histories.sequences() != static_cast<Index>(users)) {
      SIMGR_THROW(ShapeError("evaluation: " + std::to_string(users) + " targets for " +
                             std::to_string(evaluation_.histories.sequences()) + " histories"));
    }
    for (const Index k : options_.cutoffs) {
      if (k < 1) {
        SIMGR_THROW(ConfigError("cutoffs: expected at least 1, found " + std::to_string(k)));
      }
    }
    if (options_.tile_rows < 1 || options_.shards < 1) {
      SIMGR_THROW(ConfigError("tile_rows and shards: expected at least 1"));
    }
    const auto in_catalogue = [&](ItemId item, std::size_t u, const char* what) {
      if (item < 0 || item >= items_) {
        SIMGR_THROW(DataError(std::string(what) + " of user " + name_of_user(u) + ": item " +
                              std::to_string(item) + " is not one of 0 … " +
                              std::to_string(items_ - 1)));
      }
    };
    for (std::size_t u = 0; u < users; ++u) {
      in_catalogue(evaluation_.targets[u], u, "target");
      for (const ItemId item : evaluation_.histories[static_cast<Index>(u)]) {
        in_catalogue(item, u, "history");
      }
    }
  }
  std::string name_of_user(std::size_t u) const {
    return std::to_string(u < evaluation_.users.size() ? static_cast<Index>(evaluation_.users[u])
                                                       : static_cast<Index>(u));
  }
  void count_lists(Metrics& metrics) {
    std::vector<ItemId> list(static_cast<std::size_t>(longest_));
    for (UserPass& user : users_) {
      const Index found = user.best.finish(list, {});
      for (MetricsAt& at : metrics.cutoffs) {
        for (Index place = 0; place < std::min(found, at.k); ++place) {
          ++at.frequency[static_cast<std::size_t>(list[static_cast<std::size_t>(place)])];
        }
      }
    }
  }

  const data::Evaluation& evaluation_;
  Index items_;
  std::span<const Index> popularity_;
  const EvaluateOptions& options_;
  std::chrono::steady_clock::time_point start_;
  Index longest_ = 0;
  std::vector<UserPass> users_;
  std::vector<std::uint64_t> keys_;  // [users, longest]
  std::vector<ItemId> seen_;         // the histories, each ascending
};

}  // namespace detail

/// All metrics of a scorer on the full catalogue.
///
/// Rank is the place in the served list: score descending, id ascending. Items of the history are
/// treated as `options.seen` says; a target that was removed ranks after all others, by id. The
/// result is the same for any tile_rows, shards and executor.
///
/// @param popularity  [items] training interactions, or empty: head, tail, ARP and MGU are absent
/// @param score       score(first, count, Matrix<float> out): writes the scores [count, items] of
///                    users first … first + count - 1; called from the executor's threads
///
/// Cost    one pass over each tile of scores while it is in cache; memory shards · tile_rows ·
///         items floats and 8 bytes a place of the lists
/// Errors  ConfigError: impossible options;  ShapeError: parts of different length
///         DataError: ids outside the catalogue, a score that is NaN
template <class Score, Executor E = const Serial>
Metrics
evaluate(const data::Evaluation& evaluation, Index items, std::span<const Index> popularity,
         const EvaluateOptions& options, Score&& score,
         E&& executor = Serial{}) requires std::invocable<Score&, Index, Index, Matrix<float>> {
  detail::Gathering gathering(evaluation, items, popularity, options);
  const auto users = static_cast<Index>(evaluation.targets.size());
  const Index rows = std::min(options.tile_rows, std::max<Index>(users, 1));
  std::vector<float> tiles(static_cast<std::size_t>(options.shards * rows * items));
  executor.for_each(options.shards, [&](Index shard) {
    const Index end = users * (shard + 1) / options.shards;
    float* tile = tiles.data() + shard * rows * items;
    for (Index first = users * shard / options.shards; first < end; first += rows) {
      const Index count = std::min(rows, end - first);
      score(first, count, Matrix<float>{tile, {count, items}});
      for (Index i = 0; i < count; ++i) {
        const std::span<const float> row(tile + i * items, static_cast<std::size_t>(items));
        const auto exact = [&](Index item) { return row[static_cast<std::size_t>(item)]; };
        detail::UserPass& user = gathering.user(first + i);
        const float own = exact(user.target);
        if (std::isnan(own)) {
          user.not_a_number = user.target;
        }
        user.begin(own, options.seen);
        user.read(row, 0, 0.0f, exact);
        user.end(options.seen, exact);
      }
    }
  });
  return gathering.finish();
}

/// The same for inner products: the scores are those of ranker::rank_products to the bit, and no
/// row of scores is ever whole.
///
/// Shapes  queries [users, width] in the order of the evaluation;  candidates [items, width]
/// Cost    one product [users, items]; memory of product_scratch a shard, at width 64 about 250 KiB
/// Errors  as above; DataError also if a query or a candidate is not finite
template <Executor E = const Serial>
Metrics evaluate(const data::Evaluation& evaluation, std::span<const Index> popularity,
                 const EvaluateOptions& options, MatrixArg<float> queries,
                 MatrixArg<float> candidates, E&& executor = Serial{}) {
  const Index users = queries.rows(), items = candidates.rows(), width = candidates.cols();
  if (users != static_cast<Index>(evaluation.targets.size()) || queries.cols() != width) {
    SIMGR_THROW(ShapeError("queries: expected [" + std::to_string(evaluation.targets.size()) +
                           ", " + std::to_string(width) + "], found [" + std::to_string(users) +
                           ", " + std::to_string(queries.cols()) + "]"));
  }
  const auto require_finite = [&](MatrixArg<float> vectors, const char* what) {
    for (Index i = 0; i < vectors.rows(); ++i) {
      if (!std::isfinite(
              cpu::exact_product(vectors.data() + i * width, vectors.data() + i * width, width))) {
        SIMGR_THROW(DataError(std::string(what) + " " + std::to_string(i) + " is not finite"));
      }
    }
  };
  require_finite(queries, "the vector of user");
  require_finite(candidates, "the vector of item");
  detail::Gathering gathering(evaluation, items, popularity, options);
  const Index per_shard = (users + options.shards - 1) / options.shards;
  const Index scratch = cpu::product_scratch(per_shard, width);
  std::vector<float> tiles(static_cast<std::size_t>(options.shards * scratch));
  executor.for_each(options.shards, [&](Index shard) {
    const Index first = std::min(users, shard * per_shard);
    const Index count = std::min(users, first + per_shard) - first;
    const auto exact_of = [&](Index u) {
      return [query = queries.data() + u * width, &candidates, width](Index item) {
        return cpu::exact_product(query, candidates.data() + item * width, width);
      };
    };
    for (Index u = first; u < first + count; ++u) {
      detail::UserPass& user = gathering.user(u);
      user.begin(exact_of(u)(user.target), options.seen);
    }
    cpu::visit_product_tiles(
        queries.slice(first, count), candidates,
        std::span(tiles).subspan(static_cast<std::size_t>(shard * scratch),
                                 static_cast<std::size_t>(scratch)),
        [&](Index row, Index item, std::span<const float> scores, float margin) {
          gathering.user(first + row).read(scores, item, margin, exact_of(first + row));
        });
    for (Index u = first; u < first + count; ++u) {
      gathering.user(u).end(options.seen, exact_of(u));
    }
  });
  return gathering.finish();
}

}  // namespace simgr::SIMGR_ABI::eval
