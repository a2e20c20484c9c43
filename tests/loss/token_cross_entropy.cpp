// SPDX-License-Identifier: Apache-2.0
#include <simgr/loss/token_cross_entropy.hpp>

#include <cmath>

#include <doctest/doctest.h>
#include <support/gradient_check.hpp>

#include <simgr/cpu/cpu.hpp>

using namespace simgr;

namespace {

/// 70 states, more than are scored at a time, of width 5 over 6 words and 4 rows of items.
struct Tokens {
  static constexpr Index rows = 70, width = 5, words = 6, items = 4;
  std::vector<double> states = simgr_test::random_values(rows * width, 1),
                      word_table = simgr_test::random_values(words * width, 2),
                      item_table = simgr_test::random_values(items * width, 3);
  std::vector<double> dstates = std::vector<double>(states.size()),
                      dwords = std::vector<double>(word_table.size()),
                      ditems = std::vector<double>(item_table.size());
  std::vector<std::int32_t> targets;

  Tokens() {
    for (std::int32_t i = 0; i < rows; ++i) { targets.push_back(i * 7 % 10); }
  }
  double loss(bool frozen = false) {
    std::fill(dwords.begin(), dwords.end(), 0.0);
    std::fill(ditems.begin(), ditems.end(), 0.0);
    Arena arena;
    cpu::Context ctx{arena};
    const auto matrix = [](std::vector<double>& values, Index count) {
      return Matrix<double>(values.data(), {count, width});
    };
    return token_cross_entropy<double, Host>(
        matrix(states, rows), MatrixArg<double>(matrix(word_table, words)),
        matrix(item_table, items), targets, 0.3, matrix(dstates, rows),
        frozen ? Matrix<double>() : matrix(dwords, words), matrix(ditems, items), ctx);
  }
};

}  // namespace

TEST_CASE("the loss of tokens is a softmax over words and items together") {
  Tokens tokens;
  double expected = 0;
  for (std::size_t i = 0; i < 70; ++i) {
    std::vector<double> scores;
    for (std::size_t c = 0; c < 10; ++c) {
      const std::vector<double>& table = c < 6 ? tokens.word_table : tokens.item_table;
      double score = 0;
      for (std::size_t x = 0; x < 5; ++x) {
        score += tokens.states[i * 5 + x] * table[(c < 6 ? c : c - 6) * 5 + x];
      }
      scores.push_back(score);
    }
    double sum = 0;
    for (const double score : scores) { sum += std::exp(score); }
    expected += 0.3 * (std::log(sum) - scores[static_cast<std::size_t>(tokens.targets[i])]);
  }
  CHECK(tokens.loss() == doctest::Approx(expected).epsilon(1e-12));
}

TEST_CASE("gradients of the loss of tokens go to states and both tables") {
  Tokens tokens;
  tokens.loss();
  const std::vector<double> dstates = tokens.dstates, dwords = tokens.dwords,
                            ditems = tokens.ditems;
  const std::vector<simgr_test::Block> blocks = {{"states", tokens.states, dstates},
                                                 {"words", tokens.word_table, dwords},
                                                 {"items", tokens.item_table, ditems}};
  simgr_test::compare_with_differences(
      blocks, [&] { return tokens.loss(); }, 1e-8);
}

TEST_CASE("frozen words get no gradient, and the others are the same") {
  Tokens tokens;
  tokens.loss();
  const std::vector<double> dstates = tokens.dstates, ditems = tokens.ditems;
  tokens.loss(true);
  CHECK(tokens.dstates == dstates);
  CHECK(tokens.ditems == ditems);
  CHECK(tokens.dwords == std::vector<double>(30));
}
