// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <mutex>
#include <numeric>

#include <simgr_cli/decoding.hpp>

#include <simgr/core/rng.hpp>

namespace simgr_cli {

namespace {

namespace analysis = simgr::analysis;

/// Some users of a sample, as a model reads them.
struct Part {
  Index first = 0;
  std::vector<ItemId> values;
  std::vector<Index> offsets{0};

  Part(const simgr::data::Evaluation& sample, Index from, Index count) : first(from) {
    for (Index u = first; u < first + count; ++u) {
      const auto history = sample.histories[u];
      values.insert(values.end(), history.begin(), history.end());
      offsets.push_back(static_cast<Index>(values.size()));
    }
  }
  Index users() const noexcept { return static_cast<Index>(offsets.size()) - 1; }
  simgr::RaggedView<ItemId> histories() const { return {values, offsets}; }
};

/// What a model of items, or of digits in turn, says of users.
class Beliefs {
public:
  /// @param trie  of the model's own ids where it spells them, else of any
  Beliefs(const ServedModel& model, const simgr::Trie& trie) : model_(model), trie_(trie) {}

  /// Prefixes as a beam goes by them, a user each.
  std::vector<analysis::PrefixLogs> prefixes(const Part& part) const {
    if (model_.family() == Family::digits_in_turn) {
      return model_.prefix_logs(part.histories());
    }
    std::vector<analysis::PrefixLogs> result;
    simgr::OwnedMatrix<float> logs(part.users(), trie_.items());
    model_.item_logs(part.histories(), logs.view());
    for (Index user = 0; user < logs.rows; ++user) {
      const auto row = logs.view().row(user);
      auto leaves = analysis::leaf_logs(trie_, std::vector<double>(row.begin(), row.end()));
      analysis::normalise(leaves);
      result.push_back(analysis::prefix_logs(trie_, leaves));
    }
    return result;
  }
  /// Log-masses of the tuples of another trie: items that share a tuple share its probability.
  std::vector<double> in(const simgr::Trie& other, std::span<const double> leaves) const {
    std::vector<double> items;
    for (ItemId item = 0; item < trie_.items(); ++item) {
      const Index leaf = trie_.leaf(item);
      const auto sharing = trie_.items_below(trie_.digits(), leaf).size();
      items.push_back(leaves[static_cast<std::size_t>(leaf)] -
                      std::log(static_cast<double>(sharing)));
    }
    return analysis::leaf_logs(other, items);
  }

private:
  const ServedModel& model_;
  const simgr::Trie& trie_;
};

/// Says every few seconds how far it has come; nothing, where all is done before.
class UsersDone {
public:
  explicit UsersDone(Index users) : users_(users) {}

  void add(Index users) {
    const std::lock_guard lock(mutex_);
    done_ += users;
    const auto now = Clock::now();
    if (done_ == users_ || now - told_ < std::chrono::seconds(5)) {
      return;
    }
    told_ = now;
    const double rate =
        static_cast<double>(done_) / std::chrono::duration<double>(now - begun_).count();
    std::fprintf(stderr, "every item scored for %td of %td users, %.2f a second, %.0f s left\n",
                 done_, users_, rate, static_cast<double>(users_ - done_) / rate);
  }

private:
  using Clock = std::chrono::steady_clock;
  Index users_, done_ = 0;
  Clock::time_point begun_ = Clock::now(), told_ = begun_;
  std::mutex mutex_;
};

/// Calls f(part) for all users, some at a time.
template <class F>
void each_part(const simgr::data::Evaluation& sample, simgr::cpu::ThreadPool& pool, F&& f) {
  constexpr Index at_a_time = 8;
  const auto users = static_cast<Index>(sample.targets.size());
  UsersDone done(users);
  pool.for_each((users + at_a_time - 1) / at_a_time, [&](Index chunk) {
    const Index first = chunk * at_a_time, some = std::min(at_a_time, users - first);
    f(Part(sample, first, some));
    done.add(some);
  });
}

}  // namespace

simgr::data::Evaluation sample_of(const simgr::data::Evaluation& cases, Index users,
                                  std::uint64_t seed) {
  std::vector<Index> order(cases.targets.size());
  std::iota(order.begin(), order.end(), Index{0});
  simgr::Rng(seed).shuffle(std::span(order));
  order.resize(std::min(order.size(), static_cast<std::size_t>(users)));
  std::sort(order.begin(), order.end());
  simgr::data::Evaluation sample;
  for (const Index u : order) {
    sample.histories.push_back(cases.histories[u]);
    sample.targets.push_back(cases.targets[static_cast<std::size_t>(u)]);
    sample.users.push_back(cases.users[static_cast<std::size_t>(u)]);
  }
  return sample;
}

DecodingBias decoding_bias(const ServedModel& model, const simgr::Trie& trie,
                           const simgr::data::Evaluation& sample, const std::vector<Index>& widths,
                           Index k, simgr::cpu::ThreadPool& pool) {
  DecodingBias result;
  const Family family = model.family();
  const auto users = static_cast<Index>(sample.targets.size());
  if (users == 0 || (family != Family::items && family != Family::digits_in_turn)) {
    return result;
  }
  std::vector<std::vector<analysis::BeamBias>> beams(static_cast<std::size_t>(users));
  std::vector<analysis::IndependenceBias> independence(static_cast<std::size_t>(users));
  std::vector<double> leaked(static_cast<std::size_t>(users));
  const Beliefs beliefs(model, trie);
  each_part(sample, pool, [&](const Part& part) {
    std::size_t u = static_cast<std::size_t>(part.first);
    for (const analysis::PrefixLogs& prefixes : beliefs.prefixes(part)) {
      std::vector<double> leaves(prefixes.leaves().begin(), prefixes.leaves().end());
      const double mass = analysis::normalise(leaves);
      leaked[u] = family == Family::digits_in_turn ? -std::expm1(mass) : 0;
      independence[u] =
          analysis::independence_bias(trie, leaves, analysis::digit_marginals(trie, leaves), k);
      beams[u] = analysis::beam_bias(trie, prefixes, sample.targets[u], widths, k);
      ++u;
    }
  });
  result.independence = analysis::mean(std::span<const analysis::IndependenceBias>(independence));
  result.beams = analysis::mean(beams);
  result.leaked = std::accumulate(leaked.begin(), leaked.end(), 0.0) / static_cast<double>(users);
  return result;
}

namespace {

/// @param leaves_of  the reference's log-masses of the trie's tuples, for each user of a part
template <class LeavesOf>
DecodingBias independence_from(const ServedModel& model, const simgr::Trie& trie,
                               LeavesOf&& leaves_of, const simgr::data::Evaluation& sample, Index k,
                               simgr::cpu::ThreadPool& pool) {
  std::vector<analysis::IndependenceBias> independence(sample.targets.size());
  each_part(sample, pool, [&](const Part& part) {
    simgr::OwnedMatrix<float> digits(part.users(), trie.table_rows());
    model.digit_logs(part.histories(), digits.view());
    auto leaves = leaves_of(part);
    for (Index i = 0; i < part.users(); ++i) {
      auto& own = leaves[static_cast<std::size_t>(i)];
      analysis::normalise(own);
      const auto row = digits.view().row(i);
      independence[static_cast<std::size_t>(part.first + i)] =
          analysis::independence_bias(trie, own, std::vector<double>(row.begin(), row.end()), k);
    }
  });
  DecodingBias result;
  if (!independence.empty()) {
    result.independence = analysis::mean(std::span<const analysis::IndependenceBias>(independence));
  }
  return result;
}

}  // namespace

EmpiricalNext::EmpiricalNext(const simgr::RaggedView<ItemId>& train, Index items)
    : share_(static_cast<std::size_t>(items), 0.5) {
  for (Index s = 0; s < train.sequences(); ++s) {
    const auto sequence = train[s];
    for (std::size_t t = 0; t < sequence.size(); ++t) {
      share_[static_cast<std::size_t>(sequence[t])] += 1;
      if (t > 0) {
        neighbours_.emplace_back(sequence[t - 1], sequence[t]);
      }
    }
  }
  const double all = std::accumulate(share_.begin(), share_.end(), 0.0);
  for (double& share : share_) { share /= all; }
  std::sort(neighbours_.begin(), neighbours_.end());
}

std::vector<double> EmpiricalNext::logs(std::span<const ItemId> history) const {
  std::vector<double> logs(share_.size());
  for (std::size_t i = 0; i < logs.size(); ++i) { logs[i] = weight * share_[i]; }
  double all = weight;
  if (!history.empty()) {
    const ItemId last = history.back();
    for (auto at = std::lower_bound(neighbours_.begin(), neighbours_.end(),
                                    std::pair<ItemId, ItemId>(last, 0));
         at != neighbours_.end() && at->first == last; ++at) {
      logs[static_cast<std::size_t>(at->second)] += 1;
      all += 1;
    }
  }
  for (double& log : logs) { log = std::log(log / all); }
  return logs;
}

DecodingBias independence_of(const ServedModel& model, const simgr::Trie& trie,
                             const EmpiricalNext& reference, const simgr::data::Evaluation& sample,
                             Index k, simgr::cpu::ThreadPool& pool) {
  return independence_from(
      model, trie,
      [&](const Part& part) {
        std::vector<std::vector<double>> leaves;
        for (Index i = 0; i < part.users(); ++i) {
          leaves.push_back(analysis::leaf_logs(trie, reference.logs(part.histories()[i])));
        }
        return leaves;
      },
      sample, k, pool);
}

DecodingBias independence_of(const ServedModel& model, const simgr::Trie& trie,
                             const ServedModel& reference, const simgr::Trie& reference_trie,
                             const simgr::data::Evaluation& sample, Index k,
                             simgr::cpu::ThreadPool& pool) {
  const Beliefs beliefs(reference, reference_trie);
  return independence_from(
      model, trie,
      [&](const Part& part) {
        std::vector<std::vector<double>> leaves;
        for (const analysis::PrefixLogs& prefixes : beliefs.prefixes(part)) {
          leaves.push_back(beliefs.in(trie, prefixes.leaves()));
        }
        return leaves;
      },
      sample, k, pool);
}

}  // namespace simgr_cli
