// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
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
    std::vector<Symbol> symbols = symbols_of(word);
    if (symbols.size() <= short_word) {
      merge_short(symbols);
    } else {
      LongWord(*this, symbols).merge();
    }
    for (const Symbol& symbol : symbols) {
      if (symbol.id >= 0) {
        emit(symbol.id, std::size_t{symbol.begin}, std::size_t{symbol.end});
      }
    }
  }

private:
  static constexpr std::size_t short_word = 32;
  static constexpr std::uint32_t none = UINT32_MAX;

  struct Symbol {
    TokenId id;          // -1: became a part of the one before
    std::uint32_t rank;  // of its merge with the next symbol
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
  /// character has as many places as bytes and very few ranks.
  class LongWord {
  public:
    LongWord(const BytePairs& model, std::vector<Symbol>& symbols)
        : model_(model), symbols_(symbols), links_(symbols.size()) {
      for (std::size_t i = 0; i < symbols.size(); ++i) {
        links_[i] = {static_cast<std::uint32_t>(i) - 1, static_cast<std::uint32_t>(i) + 1};
      }
      links_.back().next = none;
      for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
        update(static_cast<std::uint32_t>(i));
      }
    }

    void merge() {
      while (!ranks_.empty()) {
        const std::uint32_t rank = ranks_.top();
        ranks_.pop();
        const std::uint32_t queue = queue_of(rank);
        queues_[queue].waits = false;
        // A new pair of lower rank goes first.
        while (!queues_[queue].empty() && (ranks_.empty() || ranks_.top() > rank)) {
          const std::uint32_t place = queues_[queue].pop();
          if (symbols_[place].rank == rank) {  // else it was merged meanwhile
            merge_at(place);
          }
        }
        if (!queues_[queue].empty()) {
          queues_[queue].waits = true;
          ranks_.push(rank);
        }
      }
    }

  private:
    struct Link {
      std::uint32_t previous, next;
    };
    /// Places in order. They mostly come in order; the first that does not makes it a heap, which a
    /// sorted list is already.
    struct Places {
      std::vector<std::uint32_t> places;
      std::size_t taken = 0;
      bool heap = false, waits = false;  // waits: its rank is in the heap of ranks

      bool empty() const noexcept { return taken == places.size(); }
      void push(std::uint32_t place) {
        if (!heap && !empty() && place < places.back()) {
          places.erase(places.begin(), places.begin() + static_cast<std::ptrdiff_t>(taken));
          taken = 0;
          heap = true;
        }
        places.push_back(place);
        if (heap) {
          std::push_heap(places.begin(), places.end(), std::greater<>());
        }
      }
      std::uint32_t pop() {
        if (!heap) {
          return places[taken++];
        }
        std::pop_heap(places.begin(), places.end(), std::greater<>());
        const std::uint32_t place = places.back();
        places.pop_back();
        return place;
      }
    };

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

    /// Looks up the merge of a place with the next, and queues it.
    void update(std::uint32_t place) {
      Symbol& symbol = symbols_[place];
      const std::uint32_t next = links_[place].next;
      symbol.rank = next == none ? none : model_.rank(symbol.id, symbols_[next].id);
      if (symbol.rank == none) {
        return;
      }
      Places& queue = queues_[queue_of(symbol.rank)];
      queue.push(place);
      if (!queue.waits) {
        queue.waits = true;
        ranks_.push(symbol.rank);
      }
    }

    void merge_at(std::uint32_t place) {
      Symbol& symbol = symbols_[place];
      const std::uint32_t next = links_[place].next;
      symbol.id = model_.pair(symbol.id, symbols_[next].id)->whole;
      symbol.end = symbols_[next].end;
      symbols_[next].id = -1;
      symbols_[next].rank = none;
      links_[place].next = links_[next].next;
      if (links_[place].next != none) {
        links_[links_[place].next].previous = place;
      }
      if (links_[place].previous != none) {
        update(links_[place].previous);
      }
      update(place);
    }

    const BytePairs& model_;
    std::vector<Symbol>& symbols_;
    std::vector<Link> links_;
    std::vector<Places> queues_;
    std::unordered_map<std::uint32_t, std::uint32_t> queue_of_;  // by rank
    std::uint32_t last_rank_ = none, last_queue_ = 0;            // of the last look-up there
    std::priority_queue<std::uint32_t, std::vector<std::uint32_t>, std::greater<>> ranks_;
  };

  Config config_;
  TokenIndex tokens_;  // as bytes
  std::array<TokenId, 256> single_{};
  std::vector<std::size_t> begins_;  // pairs of a left token begin here
  std::vector<Pair> pairs_;
};

}  // namespace simgr::SIMGR_ABI::text
