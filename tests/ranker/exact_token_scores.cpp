// SPDX-License-Identifier: Apache-2.0
#include <simgr/ranker/exact_token_scores.hpp>

#include <support/toy_decoder.hpp>

using namespace simgr;

namespace {

using ranker::ExactTokenScores;
using ranker::Support;

OwnedMatrix<float> exact_scores(const ExactTokenScores::Config& config, const Trie& trie,
                                simgr_test::ToyDecoder& decoder) {
  Arena arena;
  cpu::Context ctx{arena};
  OwnedMatrix<float> scores(decoder.rows(), trie.items());
  for (float& score : scores.values) { score = 1; }  // what nobody writes is seen
  ExactTokenScores::score(ctx, config, trie, decoder, scores.view());
  return scores;
}

}  // namespace

TEST_CASE("Exact scores are sums of log-probabilities, whatever support and tile") {
  const Trie trie(simgr_test::random_tuples(50, {4, 6, 5}, 2));
  simgr_test::ToyDecoder decoder{{3, 1, 8}, simgr_test::arbitrary_logit};
  for (const Support support : {Support::whole, Support::level, Support::children}) {
    for (const Index tile : {1, 7, 1024}) {
      decoder.stepped = 0;
      const auto scores = exact_scores({support, tile}, trie, decoder);
      for (Index row = 0; row < decoder.rows(); ++row) {
        for (ItemId item = 0; item < trie.items(); ++item) {
          const double expected = simgr_test::log_probability(
              decoder, trie, support, decoder.histories[static_cast<std::size_t>(row)], item);
          REQUIRE(scores.view()(row, item) == doctest::Approx(expected).epsilon(1e-5));
        }
      }
      // Every distinct prefix but whole tuples once for each history.
      CHECK(decoder.stepped == 3 * (trie.nodes(1) + trie.nodes(2)));
    }
  }
}

TEST_CASE("The probabilities of unique items sum to one minus what falls on no item") {
  SemanticIds ids = simgr_test::random_tuples(15, {3, 4, 5}, 4);
  for (Index i = 0; i < ids.items(); ++i) {  // unique: the tuple spells the item
    ids.codes.view()(i, 0) = static_cast<std::int32_t>(i % 3);
    ids.codes.view()(i, 1) = static_cast<std::int32_t>(i / 3 % 4);
    ids.codes.view()(i, 2) = static_cast<std::int32_t>(i / 12);
  }
  const Trie trie(ids);
  REQUIRE(trie.nodes(3) == 15);
  simgr_test::ToyDecoder decoder{{5}, simgr_test::arbitrary_logit};
  const auto mass = [&](Support support) {
    double sum = 0;
    for (const float score : exact_scores({support}, trie, decoder).values) {
      sum += std::exp(static_cast<double>(score));
    }
    return sum;
  };
  CHECK(mass(Support::children) == doctest::Approx(1).epsilon(1e-6));

  // Leaves the trie at a node: P(node) times the probability of the level's codes that are no child.
  double leaked = 0;
  for (Index depth = 0; depth < trie.digits(); ++depth) {
    for (Index node = 0; node < trie.nodes(depth); ++node) {
      double reached = 0;
      for (Index d = depth, n = node; d > 0; n = trie.parent(d--, n)) {
        reached += simgr_test::log_probability(decoder, trie, Support::level, 5, d, n);
      }
      const simgr_test::Prefix prefix = simgr_test::prefix_of(trie, depth, node);
      double all = 0, outside = 0;
      for (auto row = static_cast<std::int32_t>(trie.first_row(depth));
           row < trie.first_row(depth + 1); ++row) {
        const double weight = std::exp(decoder.logit(5, prefix, row));
        all += weight;
        outside += trie.child(depth, node, row) < 0 ? weight : 0;
      }
      leaked += std::exp(reached) * outside / all;
    }
  }
  CHECK(leaked > .05);
  CHECK(mass(Support::level) == doctest::Approx(1 - leaked).epsilon(1e-6));
  CHECK(mass(Support::whole) < mass(Support::level));
}

TEST_CASE("Every prefix of every history is visited once, with its own log-probability") {
  const Trie trie(simgr_test::random_tuples(30, {3, 5, 4}, 6));
  simgr_test::ToyDecoder decoder{{3, 8}, simgr_test::arbitrary_logit};
  Arena arena;
  cpu::Context ctx{arena};
  std::map<std::array<Index, 3>, double> scores;
  ExactTokenScores::visit_prefixes(
      ctx, {.tile = 4}, trie, decoder, [&](Index row, Index depth, Index node, float score) {
        const double before =
            depth == 1 ? 0 : scores.at({row, depth - 1, trie.parent(depth, node)});
        const bool first = scores.try_emplace({row, depth, node}, score).second;
        REQUIRE(first);
        REQUIRE(score - before ==
                doctest::Approx(simgr_test::log_probability(
                                    decoder, trie, Support::level,
                                    decoder.histories[static_cast<std::size_t>(row)], depth, node))
                    .epsilon(1e-5));
      });
  CHECK(static_cast<Index>(scores.size()) == 2 * (trie.nodes(1) + trie.nodes(2) + trie.nodes(3)));
}

TEST_CASE("Without another support, exact scores are over what the loss was over") {
  const Trie trie(simgr_test::random_tuples(20, {4, 6}, 2));
  simgr_test::ToyDecoder decoder{{3}, simgr_test::arbitrary_logit};
  CHECK(exact_scores({}, trie, decoder).values ==
        exact_scores({Support::level}, trie, decoder).values);
  decoder.trained = DigitSupport::whole;
  CHECK(exact_scores({}, trie, decoder).values ==
        exact_scores({Support::whole}, trie, decoder).values);
}

TEST_CASE("Items of one tuple have one exact score, and histories do not touch each other") {
  const Trie trie(simgr_test::random_tuples(60, {3, 3}, 1));
  simgr_test::ToyDecoder decoder{{2, 9, 4}, simgr_test::arbitrary_logit};
  simgr_test::ToyDecoder turned{{4, 2, 9}, simgr_test::arbitrary_logit};
  const auto scores = exact_scores({}, trie, decoder), other = exact_scores({}, trie, turned);
  for (ItemId item = 0; item < trie.items(); ++item) {
    for (const ItemId same : trie.items_below(2, trie.leaf(item))) {
      CHECK(scores.view()(0, item) == scores.view()(0, same));
    }
    CHECK(scores.view()(0, item) == other.view()(1, item));
    CHECK(scores.view()(1, item) == other.view()(2, item));
    CHECK(scores.view()(2, item) == other.view()(0, item));
  }
}

TEST_CASE("Exact scores of one digit and of one item") {
  const Trie digit(simgr_test::random_tuples(9, {6}, 3));
  simgr_test::ToyDecoder decoder{{1}, simgr_test::arbitrary_logit};
  const auto scores = exact_scores({}, digit, decoder);
  CHECK(decoder.stepped == 0);
  CHECK(scores.view()(0, 4) ==
        doctest::Approx(simgr_test::log_probability(decoder, digit, Support::level, 1, ItemId{4})));
  const Trie item(simgr_test::random_tuples(1, {6, 7, 2}, 3));
  CHECK(exact_scores({Support::children}, item, decoder).values == std::vector<float>{0});
}
