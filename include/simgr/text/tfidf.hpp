// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <simgr/core/error.hpp>
#include <simgr/core/fields.hpp>
#include <simgr/core/sparse_rows.hpp>
#include <simgr/text/truncated_svd.hpp>
#include <simgr/text/words.hpp>

namespace simgr::SIMGR_ABI::text {

/// Numbers of tfidf.
struct TfIdfConfig {
  Index buckets = Index{1} << 18;
  bool bigrams = true;

  template <class F, class C>
  static void for_each_field(C& c, F&& f) {
    f(Field{"buckets", 1, 1 << 26, "hashed vocabulary"}, c.buckets);
    f(Field{"bigrams", 0, 1, "pairs of neighbouring words count as words too"}, c.bigrams);
  }
};

/// Hashed TF-IDF of texts: one row a text, one column a bucket in use.
///
///   weight(w) = (1 + ln count) · (1 + ln((1 + texts) / (1 + texts with w)));  rows of length 1
///
/// Words are runs of letters and digits in lower case (see for_each_word_hash), alone and in pairs.
/// A text without a word is an empty row.
///
/// Cost    O(bytes of the texts + entries · log(entries of a row)), for any bytes; 8 bytes a bucket
/// Errors  ConfigError: a setting out of range
/// Source  Weinberger et al. 2009 for the hashing; Salton and Buckley 1988 for the weights
inline SparseRows tfidf(std::span<const std::string> texts, const TfIdfConfig& config = {}) {
  if (const std::string sentence = out_of_range(config); !sentence.empty()) {
    SIMGR_THROW(ConfigError(sentence));
  }
  SparseRows rows;
  std::vector<std::int32_t> in_texts(static_cast<std::size_t>(config.buckets));
  std::vector<std::int32_t> words;
  const auto bucket = [&](std::uint64_t hash) {
    hash = (hash ^ (hash >> 31)) * 0x9E3779B97F4A7C15u;  // FNV leaves its low bits weak
    hash ^= hash >> 32;
    return static_cast<std::int32_t>(hash % static_cast<std::uint64_t>(config.buckets));
  };
  for (const std::string& text : texts) {
    words.clear();
    std::uint64_t before = 0;
    bool first = true;
    for_each_word_hash(text, [&](std::uint64_t word) {
      words.push_back(bucket(word));
      if (config.bigrams && !first) {
        words.push_back(bucket((before ^ 0x5851F42D4C957F2Du) * 0x100000001B3u + word));
      }
      before = word;
      first = false;
    });
    std::sort(words.begin(), words.end());
    for (std::size_t i = 0; i < words.size();) {
      std::size_t end = i + 1;
      while (end < words.size() && words[end] == words[i]) { ++end; }
      rows.columns.push_back(words[i]);
      rows.values.push_back(1.0f + std::log(static_cast<float>(end - i)));
      ++in_texts[static_cast<std::size_t>(words[i])];
      i = end;
    }
    rows.offsets.push_back(rows.entries());
  }

  // Buckets in use become columns 0, 1, 2, …; the order within a row stays.
  std::vector<std::int32_t> column(in_texts.size());
  std::vector<float> rarity;
  for (std::size_t b = 0; b < in_texts.size(); ++b) {
    column[b] = static_cast<std::int32_t>(rarity.size());
    if (in_texts[b] > 0) {
      rarity.push_back(static_cast<float>(
          1.0 + std::log((1.0 + static_cast<double>(texts.size())) / (1.0 + in_texts[b]))));
    }
  }
  rows.cols = std::ssize(rarity);
  for (std::size_t e = 0; e < rows.columns.size(); ++e) {
    rows.columns[e] = column[static_cast<std::size_t>(rows.columns[e])];
    rows.values[e] *= rarity[static_cast<std::size_t>(rows.columns[e])];
  }
  for (Index row = 0; row < rows.rows(); ++row) {
    double squares = 0;
    for (const float value : rows.values_of(row)) {
      squares += static_cast<double>(value) * static_cast<double>(value);
    }
    for (float& value : rows.values_of(row)) {
      value = static_cast<float>(static_cast<double>(value) / std::sqrt(squares));
    }
  }
  return rows;
}

/// Numbers of text_vectors.
struct TextVectorsConfig {
  Index width = 128;
  Index buckets = Index{1} << 18;
  bool bigrams = true;
  Index power_iterations = 3;
  bool unit_length = true;
  std::uint64_t seed = 1;

  template <class F, class C>
  static void for_each_field(C& c, F&& f) {
    f(Field{"width", 1, 4096, "columns of the vectors"}, c.width);
    f(Field{"buckets", 1, 1 << 26, "hashed vocabulary"}, c.buckets);
    f(Field{"bigrams", 0, 1, "pairs of neighbouring words count as words too"}, c.bigrams);
    f(Field{"power_iterations", 0, 100, "passes of the range finder beyond the first"},
      c.power_iterations);
    f(Field{"unit_length", 0, 1, "every vector that is not zero gets length 1"}, c.unit_length);
    f(Field{"seed", 0, 1.9e19, "seed of the range finder"}, c.seed);
  }
};

/// Built-in item vectors: TF-IDF of the texts, reduced by truncated SVD (latent semantic analysis).
/// No model, no download; a sentence encoder is better where there is one.
///
/// Shapes   texts [items] → [items, width]; a text without words gives zeros, and so do the columns
///          beyond the rank of few texts
/// Results  a pure function of texts and config: the same bits on any executor
/// Cost     those of tfidf and truncated_svd
/// Errors   ConfigError: a setting out of range;  DataError: no text holds a word
/// Source   Deerwester et al., "Indexing by latent semantic analysis", JASIS 1990
template <class E = Serial>
  requires Executor<std::remove_reference_t<E>> OwnedMatrix<float>
  text_vectors(std::span<const std::string> texts, const TextVectorsConfig& config = {},
               E&& executor = E{}) {
    if (const std::string sentence = out_of_range(config); !sentence.empty()) {
      SIMGR_THROW(ConfigError(sentence));
    }
    const SparseRows weights = tfidf(texts, {.buckets = config.buckets, .bigrams = config.bigrams});
    if (weights.entries() == 0) {
      SIMGR_THROW(DataError("none of the " + std::to_string(texts.size()) +
                            " item texts holds a word; give item vectors (--text-vectors) or "
                            "semantic ids (--ids) instead"));
    }
    TruncatedSvd svd = truncated_svd(
        weights,
        {.width = config.width, .power_iterations = config.power_iterations, .seed = config.seed},
        executor);
    for (Index row = 0; config.unit_length && row < svd.rows.rows; ++row) {
      double squares = 0;
      for (const float value : svd.rows.view().row(row)) {
        squares += static_cast<double>(value) * static_cast<double>(value);
      }
      if (squares > 0) {
        for (float& value : svd.rows.view().row(row)) {
          value = static_cast<float>(static_cast<double>(value) / std::sqrt(squares));
        }
      }
    }
    return std::move(svd.rows);
  }

}  // namespace simgr::SIMGR_ABI::text
