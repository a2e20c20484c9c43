// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include <support/golden_model.hpp>

#include <simgr/cpu/topk.hpp>
#include <simgr/ranker/exact_token_scores.hpp>
#include <simgr/ranker/free_beam.hpp>
#include <simgr/ranker/trie_beam.hpp>
#include <simgr/tokenizer/item_id.hpp>

// Decoding from a language model. Rows of a trie's digit table are tokens: those of every digit once
// more. A speller has
//
//   tokens()                 of the vocabulary
//   rows()                   prompts
//   all(), of_row(r)         a decoder (token_decoder.hpp) of all prompts, or of one
//   forced(codes, lengths)   log-probabilities of whole sequences by teacher forcing, in double

namespace simgr_test {

using namespace simgr;

inline SemanticIds token_ids(const std::vector<std::int32_t>& codes, Index digits, Index tokens) {
  SemanticIds ids;
  ids.codes.values = codes;
  ids.codes.rows = static_cast<Index>(codes.size()) / digits;
  ids.codes.cols = digits;
  ids.codes_per_digit.assign(static_cast<std::size_t>(digits), tokens);
  return ids;
}

struct Lists {
  std::vector<ItemId> ids;
  std::vector<float> scores;
};
template <class Ranker, class Decoder>
Lists rank(const typename Ranker::Config& config, const Trie& trie, Decoder decoder, Index k) {
  Arena arena;
  cpu::Context ctx{arena};
  Lists lists{std::vector<ItemId>(static_cast<std::size_t>(decoder.rows() * k)), {}};
  lists.scores.resize(lists.ids.size());
  const Vector<Index> found = ctx.take<Index>(decoder.rows());
  Ranker::rank(ctx, config, trie, decoder, {},
               Matrix<ItemId>(lists.ids.data(), {decoder.rows(), k}),
               Matrix<float>(lists.scores.data(), {decoder.rows(), k}), found);
  for (const Index count : found) { CHECK(count == k); }
  return lists;
}

/// Sets of identifiers of one length: exact scores, and beams.
template <class Speller>
void check_identifiers(GoldenModel& model, Speller& speller, const std::string& set,
                       const std::vector<std::int32_t>& codes, Index digits) {
  GoldenCase& outputs = model.file("outputs");
  const Trie trie(token_ids(codes, digits, speller.tokens()));
  for (const auto& [suffix, support] :
       {std::pair{"", ranker::Support::level}, std::pair{"_children", ranker::Support::children}}) {
    Arena arena;
    cpu::Context ctx{arena};
    auto decoder = speller.all();
    std::vector<float> exact(static_cast<std::size_t>(decoder.rows() * trie.items()));
    // Tiles of a few nodes: the search goes back to depths that it has left.
    ranker::ExactTokenScores::score(ctx, {.support = support, .tile = 7}, trie, decoder,
                                    Matrix<float>(exact.data(), {decoder.rows(), trie.items()}));
    meets_model<float>(model, outputs, set + ".exact_logprob" + suffix, exact, false);
    for (const Index width : {4, 8}) {
      const Lists lists =
          rank<ranker::TrieBeam>({.width = width, .support = support}, trie, speller.all(), width);
      const std::string name = set + ".beam" + std::to_string(width) + suffix;
      CHECK(outputs.tensor<ItemId>(name + ".index") == lists.ids);
      meets_model<float>(model, outputs, name + ".score", lists.scores, false);
    }
  }
}

/// The best sequences of any tokens, stored best first; a greedy search is a beam of one.
template <class Speller>
void check_free(GoldenModel& model, Speller& speller, const std::string& name) {
  GoldenCase& outputs = model.file("outputs");
  const auto tokens = outputs.tensor<std::int32_t>(name + ".tokens");
  const Index digits = outputs.shape(name + ".tokens").back(), rows = speller.rows(),
              width = static_cast<Index>(tokens.size()) / rows / digits;
  std::vector<float> scores;
  for (Index row = 0; row < rows; ++row) {
    const auto begin = tokens.begin() + static_cast<std::ptrdiff_t>(row * width * digits);
    const Trie trie(token_ids({begin, begin + static_cast<std::ptrdiff_t>(width * digits)}, digits,
                              speller.tokens()));
    Lists lists = rank<ranker::FreeBeam>({.width = width}, trie, speller.of_row(row), width);
    for (Index i = 0; i < width; ++i) { CHECK(lists.ids[static_cast<std::size_t>(i)] == i); }
    scores.insert(scores.end(), lists.scores.begin(), lists.scores.end());
  }
  meets_model<float>(model, outputs, name + ".score", scores, false);
}

/// All sets of identifiers of a folder, and the searches without any.
template <class Speller>
void check_spelling(GoldenModel& model, Speller& speller) {
  GoldenCase &inputs = model.file("inputs"), &outputs = model.file("outputs");
  for (const std::string& name : inputs.tensors()) {
    if (!name.ends_with(".codes")) {
      continue;
    }
    const std::string set = name.substr(0, name.find('.'));
    const auto codes = inputs.tensor<std::int32_t>(name);
    const auto lengths = inputs.tensor<Index>(set + ".code_lengths");
    const std::vector<double> exact = speller.forced(codes, lengths);
    meets_model<double>(model, outputs, set + ".exact_logprob", exact, false);
    const Index digits = inputs.shape(name)[1];
    if (std::count(lengths.begin(), lengths.end(), digits) ==
        static_cast<std::ptrdiff_t>(lengths.size())) {
      check_identifiers(model, speller, set, codes, digits);
    } else {
      for (const std::string& other : outputs.tensors(set + ".")) {
        if (other != set + ".exact_logprob") {
          outputs.not_compared(other, "a trie has identifiers of one length");
        }
      }
    }
  }

  // Without identifiers all tokens compete, and the stored sequences are the catalogue.
  check_free(model, speller, "free_beam4");
  check_free(model, speller, "greedy");
}

}  // namespace simgr_test
