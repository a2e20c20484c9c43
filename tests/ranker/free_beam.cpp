// SPDX-License-Identifier: Apache-2.0
#include <simgr/ranker/free_beam.hpp>

#include <support/toy_decoder.hpp>

#include <simgr/ranker/trie_beam.hpp>

using namespace simgr;

namespace {

using ranker::FreeBeam;

/// The tuples an unconstrained beam ends with, by definition, best first.
std::vector<simgr_test::Prefix> free_beam_by_definition(const simgr_test::ToyDecoder& decoder,
                                                        const Trie& trie, int history, Index width,
                                                        bool whole) {
  std::vector<std::pair<double, simgr_test::Prefix>> beam{{0, {}}};
  for (Index depth = 0; depth < trie.digits(); ++depth) {
    std::vector<std::pair<double, simgr_test::Prefix>> next;
    const Index first = whole ? 0 : trie.first_row(depth),
                last = whole ? trie.table_rows() : trie.first_row(depth + 1);
    for (const auto& [score, prefix] : beam) {
      double all = 0;
      for (Index row = first; row < last; ++row) {
        all += std::exp(decoder.logit(history, prefix, static_cast<std::int32_t>(row)));
      }
      for (Index row = first; row < last; ++row) {
        simgr_test::Prefix longer = prefix;
        longer.push_back(static_cast<std::int32_t>(row));
        next.emplace_back(score + decoder.logit(history, prefix, longer.back()) - std::log(all),
                          longer);
      }
    }
    std::stable_sort(next.begin(), next.end(),
                     [](const auto& a, const auto& b) { return a.first > b.first; });
    next.resize(std::min(next.size(), static_cast<std::size_t>(width)));
    beam = next;
  }
  std::vector<simgr_test::Prefix> tuples;
  for (const auto& path : beam) { tuples.push_back(path.second); }
  return tuples;
}

}  // namespace

TEST_CASE("An unconstrained beam loses places to tuples that are no item") {
  const Trie trie(simgr_test::random_tuples(40, {4, 5, 4}, 2));
  simgr_test::ToyDecoder decoder{{5, 1, 2}, simgr_test::arbitrary_logit};
  for (const bool whole : {false, true}) {
    Index dropped = 0;
    for (const Index width : {1, 6, 30}) {
      const auto lists = simgr_test::rank_tokens<FreeBeam>(
          {width, whole ? ranker::Support::whole : ranker::Support::level}, trie, decoder, 40);
      for (std::size_t row = 0; row < 3; ++row) {
        std::vector<ItemId> expected;
        for (const auto& tuple :
             free_beam_by_definition(decoder, trie, decoder.histories[row], width, whole)) {
          Index node = 0;
          for (Index depth = 0; depth < trie.digits() && node >= 0; ++depth) {
            node = trie.child(depth, node, tuple[static_cast<std::size_t>(depth)]);
          }
          if (node < 0) {
            ++dropped;
            continue;
          }
          const auto items = trie.items_below(trie.digits(), node);
          expected.insert(expected.end(), items.begin(), items.end());
        }
        REQUIRE(lists.ids[row] == expected);
      }
    }
    CHECK(dropped > 10);
  }
}

TEST_CASE("An unconstrained beam over everything ends where the exact trie beam does") {
  const Trie trie(simgr_test::random_tuples(30, {3, 4, 3}, 7));
  simgr_test::ToyDecoder decoder{{5, 1}, simgr_test::arbitrary_logit};
  Ragged<ItemId> histories;
  histories.push_back(std::vector<ItemId>{3, 4, 5});
  histories.push_back(std::vector<ItemId>{29});
  for (const auto seen : {ranker::Seen::keep, ranker::Seen::remove}) {
    const ranker::ItemFilter filter{seen, histories, {}, {}};
    const auto free = simgr_test::rank_tokens<FreeBeam>({.width = 36}, trie, decoder, 30, filter);
    const auto exact =
        simgr_test::rank_tokens<ranker::TrieBeam>({.width = 36}, trie, decoder, 30, filter);
    CHECK(free.ids == exact.ids);
    CHECK(free.ids[0].size() == (seen == ranker::Seen::keep ? 30 : 27));
  }
}

TEST_CASE("An unconstrained beam refuses a width whose extensions 32 bits cannot number") {
  const std::int32_t rows[] = {3, 40001};
  const std::vector<Index> starts{0, 40000, 80000};
  struct {
    ItemsView<> items;
  } const decoder{{1, Matrix<const std::int32_t>(rows, {1, 2}), starts}};
  Arena arena;
  cpu::Context ctx{arena};
  CHECK(FreeBeam::prepare(ctx, {.width = 26843}, decoder).items() == 1);
  CHECK_THROWS_WITH_AS(FreeBeam::prepare(ctx, {.width = 26844}, decoder),
                       "ranker.width: expected at most 26843 with 80000 codes, found 26844",
                       ConfigError);
}
