// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <simgr/core/config.hpp>
#include <simgr/text/token_index.hpp>

namespace simgr::SIMGR_ABI::text {

/// A unigram language model: of all ways to spell a word, the one whose tokens' log-probabilities
/// have the largest sum; of equal ones, that whose last token is the longest, and so on backwards.
/// A character that no token is costs 10 more than the least likely token; unknown characters side
/// by side are one token.
///
/// Cost    O(bytes) look-ups of all tokens that begin at a character
/// Source  Kudo, arXiv 1804.10959
class Unigram {
public:
  struct Config {
    TokenId unknown = 0;
    std::array<TokenId, 256> bytes{};  // what spells an unknown character byte by byte
    bool spells_bytes = false;         // whether it does
  };

  /// @param scores  a log-probability for each token, finite
  Unigram(const Config& config, const std::vector<std::string>& tokens, std::vector<double> scores)
      : config_(config), scores_(std::move(scores)) {
    std::vector<TokenIndex::Entry> entries;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      if (!tokens[i].empty()) {
        entries.push_back({tokens[i], static_cast<TokenId>(i)});
      }
    }
    tokens_ = TokenIndex(std::move(entries));
    constexpr double penalty = 10;
    const auto least = std::min_element(scores_.begin(), scores_.end());
    unknown_score_ = (least != scores_.end() ? *least : 0) - penalty;
  }

  /// Calls emit(id, begin, end) for every token of one word, with its bytes of the word.
  template <class Emit>
  void encode(std::string_view word, Emit&& emit) const {
    struct Arrival {
      double score = -std::numeric_limits<double>::infinity();
      std::uint32_t begin = 0;
      TokenId id = -1;
    };
    // best[at]: of all ways to spell the bytes before `at`.
    std::vector<Arrival> best(word.size() + 1);
    best[0].score = 0;
    for (std::size_t at = 0, bytes = 0; at < word.size(); at += bytes) {
      bytes = decode_utf8(word.substr(at)).bytes;
      const double here = best[at].score;
      bool whole = false;
      const auto arrive = [&](std::size_t length, double score, TokenId id) {
        Arrival& arrival = best[at + length];
        if (arrival.id == -1 || here + score > arrival.score) {
          arrival = {here + score, static_cast<std::uint32_t>(at), id};
        }
      };
      tokens_.for_each_prefix(word.substr(at), [&](TokenIndex::Match match) {
        whole = whole || match.bytes == bytes;
        arrive(match.bytes, scores_[static_cast<std::size_t>(match.id)], match.id);
      });
      if (!whole) {
        arrive(bytes, unknown_score_, config_.unknown);
      }
    }
    // Backwards along the best way, then forwards over it.
    std::vector<std::uint32_t> ends;
    for (std::size_t at = word.size(); at > 0; at = best[at].begin) {
      ends.push_back(static_cast<std::uint32_t>(at));
    }
    for (std::size_t i = ends.size(); i > 0;) {
      const Arrival& arrival = best[ends[--i]];
      std::size_t end = ends[i];
      if (arrival.id == config_.unknown) {
        while (i > 0 && best[ends[i - 1]].id == config_.unknown) { end = ends[--i]; }
        emit_unknown(word, arrival.begin, end, emit);
      } else {
        emit(arrival.id, std::size_t{arrival.begin}, end);
      }
    }
  }

private:
  template <class Emit>
  void emit_unknown(std::string_view word, std::size_t begin, std::size_t end, Emit&& emit) const {
    bool spelt = config_.spells_bytes;
    for (std::size_t i = begin; spelt && i < end; ++i) {
      spelt = config_.bytes[static_cast<unsigned char>(word[i])] >= 0;
    }
    if (!spelt) {
      emit(config_.unknown, begin, end);
      return;
    }
    for (std::size_t i = begin; i < end; ++i) {
      emit(config_.bytes[static_cast<unsigned char>(word[i])], i, i + 1);
    }
  }

  Config config_;
  TokenIndex tokens_;
  std::vector<double> scores_;
  double unknown_score_ = 0;
};

}  // namespace simgr::SIMGR_ABI::text
