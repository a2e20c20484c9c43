// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <numeric>
#include <queue>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include <simgr/core/config.hpp>
#include <simgr/text/byte_alphabet.hpp>
#include <simgr/text/token_index.hpp>

namespace simgr::SIMGR_ABI::text {

/// Byte-pair encoding: a word is its bytes (or characters), and as long as two neighbours have a
/// merge, the one of lowest rank is made, the leftmost first.
///
/// Cost    O(n log d) for a word of n symbols whose neighbours have d different merges at a time
/// Source  Sennrich et al., arXiv 1508.07909; Radford et al., GPT-2, 2019
class BytePairs {
public:
  struct Config {
    bool byte_level = true;     // tokens are written in the byte alphabet, symbols are bytes
    bool whole_words = false;   // a word that is in the vocabulary is that token, merges or not
    bool fuse_unknown = false;  // unknown symbols side by side are one token
    TokenId unknown = -1;       // of a symbol that is not in the vocabulary; -1: left out
    std::array<TokenId, 256> bytes = none();  // what spells an unknown character byte by byte

    static constexpr std::array<TokenId, 256> none() noexcept {
      std::array<TokenId, 256> ids{};
      ids.fill(-1);
      return ids;
    }
  };
  /// `left` and `right` side by side are `whole`, which is longer than either. In order of rank.
  struct Merge {
    TokenId left, right, whole;
  };

  BytePairs(const Config& config, const std::vector<std::string>& tokens, std::vector<Merge> merges)
      : config_(config) {
    std::vector<std::string> spelt(tokens);
    std::vector<TokenIndex::Entry> entries;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      if (config_.byte_level) {
        spelt[i].clear();
        append_bytes_of(tokens[i], spelt[i]);
      }
      if (!spelt[i].empty()) {
        entries.push_back({spelt[i], static_cast<TokenId>(i)});
      }
    }
    tokens_ = TokenIndex(std::move(entries));
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const char c = static_cast<char>(byte);
      single_[byte] = tokens_.find(std::string_view(&c, 1));
    }
    every_byte_ = config_.byte_level &&
                  std::all_of(single_.begin(), single_.end(), [](TokenId id) { return id >= 0; });
    index(tokens.size(), merges);
  }

  const Config& config() const noexcept { return config_; }

  /// Calls emit(id, begin, end) for every token of one word, with its bytes of the word.
  template <class Emit>
  void encode(std::string_view word, Emit&& emit) const {
    if (config_.whole_words) {
      if (const TokenId id = tokens_.find(word); id >= 0) {
        emit(id, std::size_t{0}, word.size());
        return;
      }
    }
    if (every_byte_ && word.size() > short_word) {
      LongWord(*this, bytes_of(word))
          .for_each_merged(
              [&](TokenId id, std::size_t first, std::size_t last) { emit(id, first, last + 1); });
      return;
    }
    std::vector<Symbol> symbols = symbols_of(word);
    if (symbols.size() > short_word) {
      const auto at = [&](TokenId id, std::size_t first, std::size_t last) {
        emit(id, std::size_t{symbols[first].begin}, std::size_t{symbols[last].end});
      };
      LongWord(*this, ids_of(symbols)).for_each_merged(at);
      return;
    }
    merge_short(symbols);
    for (const Symbol& symbol : symbols) {
      emit(symbol.id, std::size_t{symbol.begin}, std::size_t{symbol.end});
    }
  }

private:
  static constexpr std::size_t short_word = 32;
  static constexpr std::uint32_t none = UINT32_MAX;

  struct Symbol {
    TokenId id;
    std::uint32_t rank;  // of its merge with the next symbol, in a short word
    std::uint32_t begin, end;
  };
  struct Pair {
    TokenId right;
    std::uint32_t rank;
    TokenId whole;
  };

  void index(std::size_t tokens, const std::vector<Merge>& merges) {
    std::vector<std::uint32_t> order(merges.size());
    for (std::size_t i = 0; i < order.size(); ++i) { order[i] = static_cast<std::uint32_t>(i); }
    std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
      const Merge &x = merges[a], &y = merges[b];
      return std::tie(x.left, x.right, b) <
             std::tie(y.left, y.right, a);  // the last of equals first
    });
    begins_.assign(tokens + 1, 0);
    TokenId left = -1;
    for (const std::uint32_t rank : order) {
      const Merge& merge = merges[rank];
      if (merge.left != left || pairs_.back().right != merge.right) {
        pairs_.push_back({merge.right, rank, merge.whole});
        left = merge.left;
        ++begins_[static_cast<std::size_t>(left) + 1];
      }
    }
    for (std::size_t i = 1; i < begins_.size(); ++i) { begins_[i] += begins_[i - 1]; }
  }

  const Pair* pair(TokenId left, TokenId right) const noexcept {
    const Pair* begin = pairs_.data() + begins_[static_cast<std::size_t>(left)];
    const Pair* end = pairs_.data() + begins_[static_cast<std::size_t>(left) + 1];
    const Pair* found = std::lower_bound(
        begin, end, right, [](const Pair& each, TokenId id) { return each.right < id; });
    return found != end && found->right == right ? found : nullptr;
  }
  std::uint32_t rank(TokenId left, TokenId right) const noexcept {
    const Pair* found = pair(left, right);
    return found != nullptr ? found->rank : none;
  }

  std::vector<Symbol> symbols_of(std::string_view word) const {
    std::vector<Symbol> symbols;
    symbols.reserve(word.size());
    bool after_unknown = false;
    for (std::uint32_t at = 0, bytes = 1; at < word.size(); at += bytes) {
      bytes =
          config_.byte_level ? 1 : static_cast<std::uint32_t>(decode_utf8(word.substr(at)).bytes);
      const auto first = static_cast<unsigned char>(word[at]);
      const TokenId id = bytes == 1 ? single_[first] : tokens_.find(word.substr(at, bytes));
      const bool unknown = id < 0 && !spell(word, at, bytes, symbols);
      if (id >= 0) {
        symbols.push_back({id, none, at, at + bytes});
      } else if (unknown && config_.unknown >= 0) {
        if (after_unknown && config_.fuse_unknown) {
          symbols.back().end = at + bytes;
        } else {
          symbols.push_back({config_.unknown, none, at, at + bytes});
        }
      }
      after_unknown = unknown;
    }
    return symbols;
  }
  std::vector<TokenId> bytes_of(std::string_view word) const {
    std::vector<TokenId> ids(word.size());
    std::transform(word.begin(), word.end(), ids.begin(),
                   [&](char byte) { return single_[static_cast<unsigned char>(byte)]; });
    return ids;
  }
  static std::vector<TokenId> ids_of(const std::vector<Symbol>& symbols) {
    std::vector<TokenId> ids(symbols.size());
    std::transform(symbols.begin(), symbols.end(), ids.begin(),
                   [](const Symbol& symbol) { return symbol.id; });
    return ids;
  }
  /// Appends the bytes of an unknown character, if the vocabulary has tokens for all.
  bool spell(std::string_view word, std::uint32_t at, std::uint32_t bytes,
             std::vector<Symbol>& symbols) const {
    for (std::uint32_t i = at; i < at + bytes; ++i) {
      if (config_.bytes[static_cast<unsigned char>(word[i])] < 0) {
        return false;
      }
    }
    for (std::uint32_t i = at; i < at + bytes; ++i) {
      symbols.push_back({config_.bytes[static_cast<unsigned char>(word[i])], none, i, i + 1});
    }
    return true;
  }

  void merge_short(std::vector<Symbol>& symbols) const {
    for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
      symbols[i].rank = rank(symbols[i].id, symbols[i + 1].id);
    }
    while (symbols.size() > 1) {
      const auto lowest =
          std::min_element(symbols.begin(), symbols.end(),
                           [](const Symbol& a, const Symbol& b) { return a.rank < b.rank; });
      if (lowest->rank == none) {
        return;
      }
      const auto next = std::next(lowest);
      lowest->id = pair(lowest->id, next->id)->whole;
      lowest->end = next->end;
      const auto behind = symbols.erase(next);
      lowest->rank = behind != symbols.end() ? rank(lowest->id, behind->id) : none;
      if (lowest != symbols.begin()) {
        std::prev(lowest)->rank = rank(std::prev(lowest)->id, lowest->id);
      }
    }
  }

  /// Merges of one long word. Places wait in a queue for each rank, and ranks in a heap: a word of one
  /// character has as many places as bytes and very few ranks. Eight bytes a symbol are gone through
  /// again and again (with sixteen more, 1 MiB took 1.6 times as long a byte as half of it).
  class LongWord {
  public:
    LongWord(const BytePairs& model, std::vector<TokenId>&& symbols)
        : model_(model), ids_(std::move(symbols)), other_end_(ids_.size()) {
      std::iota(other_end_.begin(), other_end_.end(), std::uint32_t{0});
      for (std::size_t i = 0; i + 1 < ids_.size(); ++i) { update(static_cast<std::uint32_t>(i)); }
    }

    /// Makes the merges; then f(id, first, last) for every token, with its first and its last symbol.
    template <class F>
    void for_each_merged(F&& f) {
      merge();
      for (std::size_t i = 0; i < ids_.size(); i = std::size_t{other_end_[i]} + 1) {
        f(ids_[i], i, std::size_t{other_end_[i]});
      }
    }

  private:
    /// Places in order. They mostly come in order; the first that does not makes it a heap, which a
    /// sorted list is already.
    struct Places {
      std::deque<std::uint32_t> places;
      bool heap = false, waits = false;  // waits: its rank is in the heap of ranks

      bool empty() const noexcept { return places.empty(); }
      void push(std::uint32_t place) {
        heap = heap || (!empty() && place < places.back());
        places.push_back(place);
        if (heap) {
          std::push_heap(places.begin(), places.end(), std::greater<>());
        }
      }
      std::uint32_t pop() {
        const std::uint32_t place = places.front();  // also of a heap
        if (heap) {
          std::pop_heap(places.begin(), places.end(), std::greater<>());
          places.pop_back();
        } else {
          places.pop_front();
        }
        return place;
      }
    };

    void merge() {
      while (!ranks_.empty()) {
        const std::uint32_t rank = ranks_.top();
        ranks_.pop();
        const std::uint32_t queue = queue_of(rank);
        queues_[queue].waits = false;
        // A new pair of lower rank goes first.
        while (!queues_[queue].empty() && (ranks_.empty() || ranks_.top() > rank)) {
          const std::uint32_t place = queues_[queue].pop();
          const Pair* const found = pair_at(place);
          if (found != nullptr && found->rank == rank) {  // else it was merged meanwhile
            merge_at(place, found->whole);
          }
        }
        if (!queues_[queue].empty()) {
          queues_[queue].waits = true;
          ranks_.push(rank);
        }
      }
    }

    std::uint32_t queue_of(std::uint32_t rank) {
      if (rank != last_rank_) {
        const auto [known, is_new] =
            queue_of_.try_emplace(rank, static_cast<std::uint32_t>(queues_.size()));
        if (is_new) {
          queues_.emplace_back();
        }
        last_rank_ = rank;
        last_queue_ = known->second;
      }
      return last_queue_;
    }

    /// The merge of the token that begins at a place with the next one; null also inside of tokens.
    const Pair* pair_at(std::uint32_t place) {
      const TokenId left = ids_[place];
      const std::size_t next = std::size_t{other_end_[place]} + 1;
      if (left < 0 || next == ids_.size()) {
        return nullptr;
      }
      if (left != last_left_ || ids_[next] != last_right_) {
        last_left_ = left;
        last_right_ = ids_[next];
        last_pair_ = model_.pair(left, last_right_);
      }
      return last_pair_;
    }

    /// Looks up the merge of a place with the next, and queues it.
    void update(std::uint32_t place) {
      const Pair* const found = pair_at(place);
      if (found == nullptr) {
        return;
      }
      Places& queue = queues_[queue_of(found->rank)];
      queue.push(place);
      if (!queue.waits) {
        queue.waits = true;
        ranks_.push(found->rank);
      }
    }

    void merge_at(std::uint32_t place, TokenId whole) {
      const std::uint32_t next = other_end_[place] + 1, last = other_end_[next];
      ids_[place] = whole;
      ids_[next] = -1;
      other_end_[place] = last;
      other_end_[last] = place;
      if (place > 0) {
        update(other_end_[place - 1]);
      }
      update(place);
    }

    const BytePairs& model_;
    std::vector<TokenId> ids_;              // where a token begins; -1 where it goes on
    std::vector<std::uint32_t> other_end_;  // of a token's first symbol the last, and the reverse
    std::vector<Places> queues_;
    std::unordered_map<std::uint32_t, std::uint32_t> queue_of_;  // by rank
    std::uint32_t last_rank_ = none, last_queue_ = 0;            // of the last look-up there
    TokenId last_left_ = -1, last_right_ = -1;                   // … and of that of a pair
    const Pair* last_pair_ = nullptr;
    std::priority_queue<std::uint32_t, std::vector<std::uint32_t>, std::greater<>> ranks_;
  };

  Config config_;
  TokenIndex tokens_;  // as bytes
  std::array<TokenId, 256> single_{};
  bool every_byte_ = false;          // symbols are bytes, and there is a token of each
  std::vector<std::size_t> begins_;  // pairs of a left token begin here
  std::vector<Pair> pairs_;
};

}  // namespace simgr::SIMGR_ABI::text
