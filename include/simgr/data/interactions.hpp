// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <simgr/core/error.hpp>
#include <simgr/core/ragged.hpp>

namespace simgr::SIMGR_ABI::data {

/// Who took what, in which order: what every reader gives and every split takes.
struct Interactions {
  Ragged<ItemId> histories{};            // one a user, oldest item first
  std::vector<std::int64_t> times{};     // [histories.tokens()], never decreasing in a history
  std::vector<std::string> user_keys{};  // [users]; empty: user u is named "u"
  std::vector<std::string> item_keys{};  // [items]; empty: item i is named "i"
  Index items = 0;                       // ids are 0 … items-1, whether or not they occur

  Index users() const noexcept { return histories.sequences(); }
  bool timed() const noexcept { return !times.empty(); }
  std::string user_key(Index user) const {
    return user_keys.empty() ? std::to_string(user) : user_keys[static_cast<std::size_t>(user)];
  }
  std::string item_key(Index item) const {
    return item_keys.empty() ? std::to_string(item) : item_keys[static_cast<std::size_t>(item)];
  }
  /// Times of one history; empty where there are none.
  std::span<const std::int64_t> times_of(Index user) const noexcept {
    if (times.empty()) {
      return {};
    }
    const auto u = static_cast<std::size_t>(user);
    return std::span(times).subspan(
        static_cast<std::size_t>(histories.offsets[u]),
        static_cast<std::size_t>(histories.offsets[u + 1] - histories.offsets[u]));
  }
};

/// The numbers a paper's table of data sets has.
struct Counts {
  Index users = 0, items = 0, interactions = 0;
  Index items_seen = 0;             // items that occur
  Index shortest = 0, longest = 0;  // history lengths
  double mean_length = 0;
  Index rarest = 0;  // occurrences of the rarest item that occurs
  Index tied = 0;    // neighbours in a history with equal times
};

/// Counts what a table of data sets lists. O(interactions + items); ids are trusted.
inline Counts count(const Interactions& interactions) {
  Counts counts{.users = interactions.users(),
                .items = interactions.items,
                .interactions = interactions.histories.tokens()};
  std::vector<Index> occurrences(static_cast<std::size_t>(interactions.items));
  for (const ItemId item : interactions.histories.values) {
    ++occurrences[static_cast<std::size_t>(item)];
  }
  for (const Index times : occurrences) {
    if (times > 0) {
      counts.rarest = counts.items_seen == 0 ? times : std::min(counts.rarest, times);
      ++counts.items_seen;
    }
  }
  for (Index user = 0; user < counts.users; ++user) {
    const auto length = static_cast<Index>(interactions.histories[user].size());
    counts.shortest = user == 0 ? length : std::min(counts.shortest, length);
    counts.longest = std::max(counts.longest, length);
    const auto times = interactions.times_of(user);
    for (std::size_t i = 1; i < times.size(); ++i) {
      counts.tied += times[i] == times[i - 1] ? 1 : 0;
    }
  }
  if (counts.users > 0) {
    counts.mean_length =
        static_cast<double>(counts.interactions) / static_cast<double>(counts.users);
  }
  return counts;
}

/// Before a model is trained on them.
///
/// Errors  DataError: an item that is not one of 0 to items - 1
inline void require_known_items(RaggedView<ItemId> histories, Index items) {
  for (const ItemId item : histories.values) {
    if (item < 0 || item >= items) {
      SIMGR_THROW(DataError("split.train: item " + std::to_string(item) + " is not one of 0 to " +
                            std::to_string(items - 1)));
    }
  }
}

/// Interactions of each item [items]. Ids are trusted: 0 to items - 1.
inline std::vector<Index> popularity(RaggedView<ItemId> histories, Index items) {
  std::vector<Index> times(static_cast<std::size_t>(items));
  for (const ItemId item : histories.values) { ++times[static_cast<std::size_t>(item)]; }
  return times;
}

/// A stable 64-bit name of what is added: equal content, equal name, on every machine and version.
/// FNV-1a over 64-bit words, each mixed once; not cryptographic.
class Fingerprint {
public:
  void add(std::uint64_t word) noexcept {
    word ^= word >> 32;
    word *= 0xd6e8feb86659fd93u;
    word ^= word >> 32;
    state_ = (state_ ^ word) * 0x100000001b3u;
    state_ ^= state_ >> 29;
  }
  void add(std::string_view text) noexcept {
    add(static_cast<std::uint64_t>(text.size()));
    for (std::size_t i = 0; i < text.size(); i += 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, text.data() + i, std::min<std::size_t>(8, text.size() - i));
      add(word);
    }
  }
  std::uint64_t word() const noexcept { return state_; }
  /// 16 hexadecimal digits.
  std::string hex() const {
    constexpr char digits[] = "0123456789abcdef";
    std::string text;
    for (int shift = 60; shift >= 0; shift -= 4) { text += digits[(state_ >> shift) & 15]; }
    return text;
  }

private:
  std::uint64_t state_ = 0xcbf29ce484222325u;
};

/// The name of a data set. Histories, times and keys count; where they came from does not.
inline std::string fingerprint(const Interactions& interactions) {
  Fingerprint print;
  print.add(static_cast<std::uint64_t>(interactions.users()));
  print.add(static_cast<std::uint64_t>(interactions.items));
  for (const Index offset : interactions.histories.offsets) {
    print.add(static_cast<std::uint64_t>(offset));
  }
  for (const ItemId item : interactions.histories.values) {
    print.add(static_cast<std::uint64_t>(item));
  }
  for (const std::int64_t time : interactions.times) {
    print.add(static_cast<std::uint64_t>(time));
  }
  for (const std::string& key : interactions.user_keys) { print.add(key); }
  for (const std::string& key : interactions.item_keys) { print.add(key); }
  return print.hex();
}

}  // namespace simgr::SIMGR_ABI::data
