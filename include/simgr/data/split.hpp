// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <simgr/core/error.hpp>
#include <simgr/core/ragged.hpp>
#include <simgr/data/interactions.hpp>

namespace simgr::SIMGR_ABI::data {

/// The users of one evaluation: what is known of each, and the item to be found.
struct Evaluation {
  Ragged<ItemId> histories{};     // oldest first
  std::vector<ItemId> targets{};  // [histories.sequences()]
  std::vector<UserId> users{};    // [histories.sequences()], who it is
};

/// Train, validation and test, disjoint in their targets' positions.
struct Split {
  Index items = 0;
  Ragged<ItemId> train{};   // one sequence a user, all users
  Evaluation validation{};  // history: train
  Evaluation test{};        // history: train and the validation item
  Index too_short = 0;      // users with fewer than three items
};

namespace detail {

inline void add_case(Evaluation& evaluation, std::span<const ItemId> history, ItemId target,
                     Index user) {
  evaluation.histories.push_back(history);
  evaluation.targets.push_back(target);
  evaluation.users.push_back(static_cast<UserId>(user));
}

/// One case for each of the items `from` … `to` - 1 of a history.
inline Failure add_cases(Evaluation& evaluation, std::span<const ItemId> history, std::size_t from,
                         std::size_t to, Index user) {
  constexpr Index most = Index{1} << 31;  // 8 GiB
  const auto sum_below = [](std::size_t n) { return n == 0 ? 0 : n * (n - 1) / 2; };
  const auto more = static_cast<Index>(to > from ? sum_below(to) - sum_below(from) : 0);
  if (evaluation.histories.tokens() + more > most) {
    return DataError("the histories before the held-out items of user " + std::to_string(user) +
                     ", who has " + std::to_string(history.size()) +
                     " items, and of those before have more than " + std::to_string(most) +
                     " items; hold fewer out, or only the last two (leave one out)");
  }
  for (std::size_t i = from; i < to; ++i) {
    add_case(evaluation, history.first(i), history[i], user);
  }
  return std::nullopt;
}

inline Failure nobody(const Split& split, const char* reason) {
  if (!split.validation.targets.empty() && !split.test.targets.empty()) {
    return std::nullopt;
  }
  return DataError(std::string("nobody can be evaluated: ") + reason + "; there are " +
                   std::to_string(split.train.sequences()) + " users and " +
                   std::to_string(split.train.tokens()) + " training interactions");
}

}  // namespace detail

/// The usual protocol: of each user's n >= 3 items the last is the test target, the one before the
/// validation target, the rest training. Users with fewer are trained on whole, never evaluated.
///
///   train       s[0 … n-3]
///   validation  s[0 … n-3] -> s[n-2]
///   test        s[0 … n-2] -> s[n-1]
///
/// Cost    O(interactions); the histories three times
/// Errors  DataError if nobody has three items
/// Source  Kang & McAuley 2018, section IV-A
inline Result<Split> try_leave_one_out(const Interactions& interactions) {
  Split split;
  split.items = interactions.items;  // apart, or g++ 12 warns of what is not initialised
  const auto tokens = static_cast<std::size_t>(interactions.histories.tokens());
  split.train.values.reserve(tokens);
  split.validation.histories.values.reserve(tokens);
  split.test.histories.values.reserve(tokens);
  for (Index user = 0; user < interactions.users(); ++user) {
    const std::span<const ItemId> history = interactions.histories[user];
    if (history.size() < 3) {
      split.train.push_back(history);
      ++split.too_short;
      continue;
    }
    const std::size_t n = history.size();
    split.train.push_back(history.first(n - 2));
    detail::add_case(split.validation, history.first(n - 2), history[n - 2], user);
    detail::add_case(split.test, history.first(n - 1), history[n - 1], user);
  }
  if (Failure failure = detail::nobody(split, "no user has three items")) {
    return *std::move(failure);
  }
  return split;
}

inline Split leave_one_out(const Interactions& interactions) {
  return try_leave_one_out(interactions).value_or_raise();
}

/// Shares of each user's history, oldest first: the first `train` of it is training, the next
/// `validation` validation, the rest test.
struct Ratio {
  double train = 0.8;
  double validation = 0.1;
};

/// Every held-out item is one case, with all before it as history. Each user with three items or
/// more gives at least one case of both kinds; users with fewer are trained on whole.
///
/// Cost    memory Σ over held-out items of the items before them: quadratic in one history
/// Errors  ConfigError: shares that are not above 0 or do not leave a rest; DataError if nobody has
///         three items, or if the cases would hold more than 2^31 items
inline Result<Split> try_ratio_split(const Interactions& interactions, const Ratio& ratio = {}) {
  if (!(ratio.train > 0 && ratio.validation > 0 && ratio.train + ratio.validation < 1)) {
    return ConfigError("ratio split: train and validation must be above 0 and sum to less than 1, "
                       "found " +
                       std::to_string(ratio.train) + " and " + std::to_string(ratio.validation));
  }
  Split split;
  split.items = interactions.items;
  for (Index user = 0; user < interactions.users(); ++user) {
    const std::span<const ItemId> history = interactions.histories[user];
    const std::size_t n = history.size();
    if (n < 3) {
      split.train.push_back(history);
      ++split.too_short;
      continue;
    }
    // 1e-9: the share 0.8 of 10 items is 8 whatever the rounding of 0.8.
    const auto share = [&](double part) {
      return static_cast<std::size_t>(part * static_cast<double>(n) + 1e-9);
    };
    const std::size_t train = std::clamp<std::size_t>(share(ratio.train), 1, n - 2);
    const std::size_t known =
        std::clamp<std::size_t>(share(ratio.train + ratio.validation), train + 1, n - 1);
    split.train.push_back(history.first(train));
    Failure failure = detail::add_cases(split.validation, history, train, known, user);
    failure = failure ? failure : detail::add_cases(split.test, history, known, n, user);
    if (failure) {
      return *std::move(failure);
    }
  }
  if (Failure failure = detail::nobody(split, "no user has three items")) {
    return *std::move(failure);
  }
  return split;
}

inline Split ratio_split(const Interactions& interactions, const Ratio& ratio = {}) {
  return try_ratio_split(interactions, ratio).value_or_raise();
}

/// Two moments for all users: what is before `validation_from` is training, what is before
/// `test_from` validation, the rest test. Nothing of the future of anybody is trained on. Every
/// held-out item with a history is one case; users without training items keep an empty sequence,
/// so user u is row u.
///
/// Cost    memory Σ over held-out items of the items before them: quadratic in one history
/// Errors  DataError without times, if a part has no case or if the cases would hold more than 2^31
///         items; ConfigError if the moments are not in order
inline Result<Split> try_global_time_split(const Interactions& interactions,
                                           std::int64_t validation_from, std::int64_t test_from) {
  if (!interactions.timed()) {
    return DataError("a split by time needs times, and these interactions have none");
  }
  if (validation_from >= test_from) {
    return ConfigError("time split: validation must begin before test, found " +
                       std::to_string(validation_from) + " and " + std::to_string(test_from));
  }
  Split split;
  split.items = interactions.items;
  for (Index user = 0; user < interactions.users(); ++user) {
    const std::span<const ItemId> history = interactions.histories[user];
    const auto times = interactions.times_of(user);
    const auto before = [&](std::int64_t moment) {
      return static_cast<std::size_t>(std::lower_bound(times.begin(), times.end(), moment) -
                                      times.begin());
    };
    const std::size_t train = before(validation_from), known = before(test_from);
    split.train.push_back(history.first(train));
    split.too_short += history.size() < 3 ? 1 : 0;
    const auto behind_one = [](std::size_t i) { return std::max<std::size_t>(i, 1); };
    Failure failure = detail::add_cases(split.validation, history, behind_one(train), known, user);
    failure = failure
                  ? failure
                  : detail::add_cases(split.test, history, behind_one(known), history.size(), user);
    if (failure) {
      return *std::move(failure);
    }
  }
  if (Failure failure = detail::nobody(split, "no case behind the moments of the split")) {
    return *std::move(failure);
  }
  return split;
}

inline Split global_time_split(const Interactions& interactions, std::int64_t validation_from,
                               std::int64_t test_from) {
  return try_global_time_split(interactions, validation_from, test_from).value_or_raise();
}

/// How often a split shows a model what it will be asked. A sound split has zeros, but `repeats`.
struct Leakage {
  Index in_train = 0;    // cases whose training sequence reaches their target's position or beyond
  Index in_history = 0;  // cases whose history reaches beyond their target's position
  Index unrelated = 0;   // cases whose history does not begin with the user's training sequence
  Index out_of_range = 0;  // targets that are no item
  Index repeats = 0;       // cases whose target stands in their own history: a fact of the data

  bool sound() const noexcept { return in_train + in_history + unrelated + out_of_range == 0; }
};

/// Compares every case of a split with the interactions it came from. A case belongs to position i
/// of its user's history: the i items before it are what may be known, so its history must be the
/// last items before i (all, or a window of them), and training must stop at or before i.
///
/// Cost  O(items of the user's history) a case, more where the target repeats in it
inline Leakage leakage(const Split& split, const Interactions& interactions) {
  Leakage found;
  const auto test = [&](const Evaluation& evaluation, Index row) {
    const auto user = static_cast<Index>(evaluation.users[static_cast<std::size_t>(row)]);
    const ItemId target = evaluation.targets[static_cast<std::size_t>(row)];
    const std::span<const ItemId> known = evaluation.histories[row];
    found.repeats += std::find(known.begin(), known.end(), target) != known.end() ? 1 : 0;
    if (target < 0 || target >= split.items) {
      ++found.out_of_range;
      return;
    }
    const std::span<const ItemId> whole = interactions.histories[user];
    const std::span<const ItemId> train = split.train[user];
    if (!(train.size() <= whole.size() && std::equal(train.begin(), train.end(), whole.begin()))) {
      ++found.unrelated;
      return;
    }
    // The places where the target follows exactly this history.
    bool placed = false, clear_of_train = false;
    for (std::size_t i = known.size(); i < whole.size() && !clear_of_train; ++i) {
      if (whole[i] == target && std::equal(known.begin(), known.end(),
                                           whole.begin() + static_cast<Index>(i - known.size()))) {
        placed = true;
        clear_of_train = i >= train.size();
      }
    }
    found.in_history += placed ? 0 : 1;
    found.in_train += placed && !clear_of_train ? 1 : 0;
  };
  for (const Evaluation* evaluation : {&split.validation, &split.test}) {
    for (Index row = 0; row < evaluation->histories.sequences(); ++row) { test(*evaluation, row); }
  }
  return found;
}

}  // namespace simgr::SIMGR_ABI::data
