// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <simgr/core/error.hpp>
#include <simgr/core/fields.hpp>
#include <simgr/core/rng.hpp>
#include <simgr/data/interactions.hpp>

namespace simgr::SIMGR_ABI::data {

/// What becomes of an item that a user took before.
enum class Repeats { keep, first };
constexpr std::array<std::string_view, 2> names_of(Repeats) noexcept {
  return {"keep", "first"};
}

/// The order of items of one user with equal times. Published Amazon 2014 numbers carry the order
/// of the file, which there is the order of item names; studies shuffle.
enum class Ties { file_order, shuffle };
constexpr std::array<std::string_view, 2> names_of(Ties) noexcept {
  return {"file_order", "shuffle"};
}

/// The steps between reading and splitting, in the order in which they are done.
struct Preparation {
  Repeats repeats = Repeats::keep;
  Index user_core = 0;  // least interactions of a user, to a fix point with item_core
  Index item_core = 0;
  Ties ties = Ties::file_order;
  std::uint64_t seed = 0;  // of Ties::shuffle
  Index shortest = 0;      // histories with fewer items go
  Index longest = 0;       // longer ones keep their last items; 0: all

  template <class F, class C>
  static void for_each_field(C& c, F&& f) {
    f(Field{"repeats", 0, 1, "items a user took before"}, c.repeats);
    f(Field{"user_core", 0, 1e9, "least interactions of a user"}, c.user_core);
    f(Field{"item_core", 0, 1e9, "least interactions of an item"}, c.item_core);
    f(Field{"ties", 0, 1, "order of items of equal time"}, c.ties);
    f(Field{"seed", 0, 1.8e19, "of the shuffle"}, c.seed);
    f(Field{"shortest", 0, 1e9, "least items of a history"}, c.shortest);
    f(Field{"longest", 0, 1e9, "most items of a history, the last ones; 0: all"}, c.longest);
  }
};

namespace detail {

/// The same data with those interactions only that `kept` marks. Users that have none left go, and
/// items too if `drop_items`; the others keep their relative order and their names.
inline Interactions select(const Interactions& all, const std::vector<char>& kept,
                           bool drop_items) {
  Interactions result;
  std::vector<ItemId> new_id(static_cast<std::size_t>(all.items), drop_items ? -1 : 0);
  for (std::size_t i = 0; i < kept.size(); ++i) {
    if (kept[i] != 0) {
      new_id[static_cast<std::size_t>(all.histories.values[i])] = 0;
    }
  }
  bool named = !all.item_keys.empty();
  for (std::size_t item = 0; item < new_id.size(); ++item) {
    if (new_id[item] >= 0) {
      new_id[item] = static_cast<ItemId>(result.items++);
    } else {
      named = true;  // ids move, so names are needed from here on
    }
  }
  for (std::size_t item = 0; named && item < new_id.size(); ++item) {
    if (new_id[item] >= 0) {
      result.item_keys.push_back(all.item_key(static_cast<Index>(item)));
    }
  }
  std::vector<Index> users;
  for (Index user = 0; user < all.users(); ++user) {
    const auto begin =
        static_cast<std::size_t>(all.histories.offsets[static_cast<std::size_t>(user)]);
    const auto end =
        static_cast<std::size_t>(all.histories.offsets[static_cast<std::size_t>(user) + 1]);
    const std::size_t before = result.histories.values.size();
    for (std::size_t i = begin; i < end; ++i) {
      if (kept[i] != 0) {
        result.histories.values.push_back(
            new_id[static_cast<std::size_t>(all.histories.values[i])]);
        if (all.timed()) {
          result.times.push_back(all.times[i]);
        }
      }
    }
    if (result.histories.values.size() > before) {
      result.histories.offsets.push_back(result.histories.tokens());
      users.push_back(user);
    }
  }
  if (!all.user_keys.empty() || static_cast<Index>(users.size()) != all.users()) {
    for (const Index user : users) { result.user_keys.push_back(all.user_key(user)); }
  }
  return result;
}

}  // namespace detail

/// Keeps the first of a user's interactions with an item.
inline Interactions drop_repeats(const Interactions& interactions) {
  std::vector<char> kept(interactions.histories.values.size(), 1);
  std::vector<Index> last_user(static_cast<std::size_t>(interactions.items), -1);
  std::size_t i = 0;
  for (Index user = 0; user < interactions.users(); ++user) {
    for (const ItemId item : interactions.histories[user]) {
      Index& last = last_user[static_cast<std::size_t>(item)];
      kept[i++] = last != user ? 1 : 0;
      last = user;
    }
  }
  return detail::select(interactions, kept, false);
}

/// Removes users with fewer than `user_core` and items with fewer than `item_core` interactions
/// until none is left to remove; repeated interactions count. The result does not depend on the
/// order of removal.
///
/// Cost  O(interactions)
inline Interactions k_core(const Interactions& interactions, Index user_core, Index item_core) {
  const auto& values = interactions.histories.values;
  const auto items = static_cast<std::size_t>(interactions.items);
  const auto users = static_cast<std::size_t>(interactions.users());
  std::vector<char> kept(values.size(), 1);
  std::vector<Index> user_count(users), item_count(items);
  // Interactions of each item: places[item_begin[i] … item_begin[i + 1]).
  std::vector<Index> item_begin(items + 1), user_of(values.size());
  for (const ItemId item : values) { ++item_begin[static_cast<std::size_t>(item) + 1]; }
  for (std::size_t i = 0; i < items; ++i) {
    item_count[i] = item_begin[i + 1];
    item_begin[i + 1] += item_begin[i];
  }
  std::vector<std::size_t> places(values.size());
  std::vector<Index> next(item_begin.begin(), item_begin.end() - 1);
  for (std::size_t user = 0; user < users; ++user) {
    const Index begin = interactions.histories.offsets[user];
    const Index end = interactions.histories.offsets[user + 1];
    user_count[user] = end - begin;
    for (Index i = begin; i < end; ++i) {
      const auto at = static_cast<std::size_t>(i);
      user_of[at] = static_cast<Index>(user);
      places[static_cast<std::size_t>(next[static_cast<std::size_t>(values[at])]++)] = at;
    }
  }
  // Work left: users as u, items as -1 - i. Each is queued once, when it falls below its core.
  std::vector<Index> queue;
  for (std::size_t user = 0; user < users; ++user) {
    if (user_count[user] < user_core) {
      queue.push_back(static_cast<Index>(user));
    }
  }
  for (std::size_t item = 0; item < items; ++item) {
    if (item_count[item] < item_core) {
      queue.push_back(-1 - static_cast<Index>(item));
    }
  }
  const auto remove = [&](std::size_t at) {
    if (kept[at] == 0) {
      return;
    }
    kept[at] = 0;
    const auto user = static_cast<std::size_t>(user_of[at]);
    const auto item = static_cast<std::size_t>(values[at]);
    if (user_count[user]-- == user_core) {
      queue.push_back(static_cast<Index>(user));
    }
    if (item_count[item]-- == item_core) {
      queue.push_back(-1 - static_cast<Index>(item));
    }
  };
  while (!queue.empty()) {
    const Index work = queue.back();
    queue.pop_back();
    if (work >= 0) {
      const auto user = static_cast<std::size_t>(work);
      for (Index i = interactions.histories.offsets[user];
           i < interactions.histories.offsets[user + 1]; ++i) {
        remove(static_cast<std::size_t>(i));
      }
    } else {
      const auto item = static_cast<std::size_t>(-1 - work);
      for (Index i = item_begin[item]; i < item_begin[item + 1]; ++i) {
        remove(places[static_cast<std::size_t>(i)]);
      }
    }
  }
  return detail::select(interactions, kept, item_core > 0);
}

/// Puts the items of a user with equal times into random order: the same for the same seed,
/// whatever the other users are. Without times nothing moves.
inline Interactions shuffle_ties(Interactions interactions, std::uint64_t seed) {
  for (Index user = 0; user < interactions.users(); ++user) {
    const auto times = interactions.times_of(user);
    const auto begin =
        static_cast<std::size_t>(interactions.histories.offsets[static_cast<std::size_t>(user)]);
    const auto items = std::span(interactions.histories.values).subspan(begin, times.size());
    Fingerprint name;
    name.add(interactions.user_key(user));
    Rng rng(seed, name.word());
    for (std::size_t i = 0; i < times.size();) {
      std::size_t end = i + 1;
      while (end < times.size() && times[end] == times[i]) { ++end; }
      rng.shuffle(items.subspan(i, end - i));
      i = end;
    }
  }
  return interactions;
}

/// Keeps the last `longest` items of a history (0: all) and drops users with fewer than `shortest`.
inline Interactions limit_lengths(const Interactions& interactions, Index shortest, Index longest) {
  std::vector<char> kept(interactions.histories.values.size(), 0);
  for (Index user = 0; user < interactions.users(); ++user) {
    const Index begin = interactions.histories.offsets[static_cast<std::size_t>(user)];
    const Index end = interactions.histories.offsets[static_cast<std::size_t>(user) + 1];
    if (end - begin >= shortest) {
      const Index first = longest > 0 ? std::max(begin, end - longest) : begin;
      std::fill(kept.begin() + first, kept.begin() + end, char{1});
    }
  }
  return detail::select(interactions, kept, false);
}

/// Does all steps of `preparation`.
///
/// Errors  ConfigError for a field out of range; DataError if nothing is left
inline Result<Interactions> try_prepare(Interactions interactions, const Preparation& preparation) {
  if (std::string sentence = out_of_range(preparation); !sentence.empty()) {
    return ConfigError(sentence);
  }
  if (preparation.repeats == Repeats::first) {
    interactions = drop_repeats(interactions);
  }
  if (preparation.user_core > 0 || preparation.item_core > 0) {
    interactions = k_core(interactions, preparation.user_core, preparation.item_core);
  }
  if (preparation.ties == Ties::shuffle) {
    interactions = shuffle_ties(std::move(interactions), preparation.seed);
  }
  if (preparation.shortest > 0 || preparation.longest > 0) {
    interactions = limit_lengths(interactions, preparation.shortest, preparation.longest);
  }
  if (interactions.users() == 0) {
    return DataError("no interactions are left: user_core is " +
                     std::to_string(preparation.user_core) + ", item_core " +
                     std::to_string(preparation.item_core) + ", shortest " +
                     std::to_string(preparation.shortest));
  }
  return interactions;
}

inline Interactions prepare(Interactions interactions, const Preparation& preparation) {
  return try_prepare(std::move(interactions), preparation).value_or_raise();
}

}  // namespace simgr::SIMGR_ABI::data
