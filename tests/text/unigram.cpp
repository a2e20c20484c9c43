// SPDX-License-Identifier: Apache-2.0
#include <simgr/text/unigram.hpp>

#include <limits>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

using namespace simgr::text;

namespace {

std::vector<TokenId> unigram_ids(const Unigram& model, std::string_view word) {
  std::vector<TokenId> ids;
  std::size_t at = 0;
  model.encode(word, [&](TokenId id, std::size_t begin, std::size_t end) {
    CHECK(begin == at);
    CHECK(end > begin);
    at = end;
    ids.push_back(id);
  });
  CHECK(at == word.size());
  return ids;
}

/// The best sum over all spellings; letters that are no token cost `unknown`.
double best_score(const std::vector<std::string>& tokens, const std::vector<double>& scores,
                  double unknown, std::string_view word) {
  if (word.empty()) {
    return 0;
  }
  double best = -std::numeric_limits<double>::infinity();
  bool whole = false;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (word.starts_with(tokens[i])) {
      whole = whole || tokens[i].size() == 1;
      best = std::max(best, scores[i] +
                                best_score(tokens, scores, unknown, word.substr(tokens[i].size())));
    }
  }
  if (!whole) {
    best = std::max(best, unknown + best_score(tokens, scores, unknown, word.substr(1)));
  }
  return best;
}

}  // namespace

TEST_CASE("a word is spelt by the tokens of the largest sum") {
  std::mt19937 random(17);
  for (int round = 0; round < 100; ++round) {
    std::vector<std::string> tokens = {"<unk>"};
    std::vector<double> scores = {0};
    for (int i = 0; i < 12; ++i) {
      std::string token(1 + random() % 3, 'a');
      for (char& c : token) { c = static_cast<char>('a' + random() % 3); }
      if (std::find(tokens.begin(), tokens.end(), token) == tokens.end()) {
        tokens.push_back(token);
        scores.push_back(-static_cast<double>(random() % 1000) / 100);
      }
    }
    const double unknown = *std::min_element(scores.begin(), scores.end()) - 10;
    const Unigram model({.unknown = 0}, tokens, scores);
    for (int probe = 0; probe < 20; ++probe) {
      std::string word(random() % 9, 'a');
      for (char& c : word) { c = static_cast<char>('a' + random() % 3); }
      double sum = 0;
      model.encode(word, [&](TokenId id, std::size_t begin, std::size_t end) {
        sum += id == 0 ? unknown * static_cast<double>(end - begin)
                       : scores[static_cast<std::size_t>(id)];
      });
      CHECK(sum == doctest::Approx(best_score(tokens, scores, unknown, word)));
    }
  }
}

TEST_CASE("unknown characters side by side are one token, or the bytes they are") {
  const std::vector<std::string> tokens = {"<unk>", "a", "<0xC3>", "<0xA9>", "é"};
  const std::vector<double> scores = {0, -1, 0, 0, -30};
  const auto ids = [&](const Unigram::Config& config, std::string_view word) {
    return unigram_ids(Unigram(config, tokens, scores), word);
  };
  Unigram::Config config{.unknown = 0};
  CHECK(ids(config, "a中文a") == std::vector<TokenId>{1, 0, 1});
  CHECK(ids(config, "aé") == std::vector<TokenId>{1, 4});  // however unlikely: it is a token
  CHECK(ids(config, "") == std::vector<TokenId>{});
  config.bytes.fill(-1);
  config.bytes[0xC3] = 2;
  config.bytes[0xA9] = 3;
  config.spells_bytes = true;
  CHECK(unigram_ids(Unigram(config, {"<unk>", "a", "<0xC3>", "<0xA9>"}, {0, -1, 0, 0}), "aé") ==
        std::vector<TokenId>{1, 2, 3});
  CHECK(ids(config, "a中") == std::vector<TokenId>{1, 0});
}
