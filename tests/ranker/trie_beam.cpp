// SPDX-License-Identifier: Apache-2.0
#include <simgr/ranker/trie_beam.hpp>

#include <set>

#include <support/toy_decoder.hpp>

#include <simgr/ranker/exact_token_scores.hpp>

using namespace simgr;

namespace {

using ranker::ItemFilter;
using ranker::Support;
using ranker::TrieBeam;

Ragged<ItemId> id_lists(const std::vector<std::vector<ItemId>>& rows) {
  Ragged<ItemId> lists;
  for (const auto& row : rows) { lists.push_back(row); }
  return lists;
}

/// Trie beam by definition, for one history: prefixes as vectors, sorted whole at each level.
/// `listable` says which items may end a path.
std::vector<ItemId> beam_by_definition(const simgr_test::ToyDecoder& decoder, const Trie& trie,
                                       Support support, int history, Index width, Index k,
                                       const std::set<ItemId>& listable) {
  struct Path {
    Index node;
    double score;
  };
  std::vector<Path> beam{{0, 0}};
  for (Index depth = 0; depth < trie.digits(); ++depth) {
    std::vector<Path> next;
    for (const Path& path : beam) {
      const auto children = trie.children(depth, path.node);
      for (Index child = children.begin; child < children.end; ++child) {
        bool leads = false;
        for (const ItemId item : trie.items_below(depth + 1, child)) {
          leads |= listable.count(item) > 0;
        }
        if (leads) {
          next.push_back(
              {child, path.score + simgr_test::log_probability(decoder, trie, support, history,
                                                               depth + 1, child)});
        }
      }
    }
    std::stable_sort(next.begin(), next.end(),
                     [](const Path& a, const Path& b) { return a.score > b.score; });
    next.resize(std::min(next.size(), static_cast<std::size_t>(width)));
    beam = next;
  }
  std::vector<ItemId> ids;
  for (const Path& path : beam) {
    for (const ItemId item : trie.items_below(trie.digits(), path.node)) {
      if (listable.count(item) > 0) {
        ids.push_back(item);
      }
    }
  }
  ids.resize(std::min(ids.size(), static_cast<std::size_t>(k)));
  return ids;
}

std::set<ItemId> all_items(const Trie& trie) {
  std::set<ItemId> items;
  for (ItemId item = 0; item < trie.items(); ++item) { items.insert(item); }
  return items;
}

}  // namespace

TEST_CASE("A beam of one keeps the better prefix and misses the best item") {
  // Two prefixes: .55 over five leaves alike, .45 over two leaves of .9 and .1.
  SemanticIds ids = simgr_test::random_tuples(7, {2, 5}, 1);
  ids.codes.values = {0, 0, 0, 1, 0, 2, 0, 3, 0, 4, 1, 0, 1, 1};
  const Trie trie(ids);
  simgr_test::ToyDecoder decoder{
      {0}, [](int, const simgr_test::Prefix& prefix, std::int32_t row) {
        if (prefix.empty()) {
          return std::log(row == 0 ? .55 : .45);
        }
        return prefix[0] == 0 ? std::log(.2) : std::log(row == 2 ? .9 : row == 3 ? .1 : 1e-30);
      }};
  const auto narrow = simgr_test::rank_tokens<TrieBeam>({.width = 1}, trie, decoder, 3);
  CHECK(narrow.ids[0] == std::vector<ItemId>{0});
  CHECK(std::exp(narrow.scores[0][0]) == doctest::Approx(.11));
  const auto wide = simgr_test::rank_tokens<TrieBeam>({.width = 2}, trie, decoder, 3);
  CHECK(wide.ids[0] == std::vector<ItemId>{5, 0});
  CHECK(std::exp(wide.scores[0][0]) == doctest::Approx(.405));
}

TEST_CASE("A trie beam lists what the definition says, for any width, support and batch") {
  const Trie trie(simgr_test::random_tuples(80, {4, 5, 6}, 6));
  simgr_test::ToyDecoder decoder{{6, 2, 11, 5}, simgr_test::arbitrary_logit};
  for (const Support support : {Support::whole, Support::level, Support::children}) {
    for (const Index width : {1, 3, 20, 1000}) {
      const auto lists = simgr_test::rank_tokens<TrieBeam>({width, support}, trie, decoder, 30);
      for (std::size_t row = 0; row < 4; ++row) {
        REQUIRE(lists.ids[row] == beam_by_definition(decoder, trie, support, decoder.histories[row],
                                                     width, 30, all_items(trie)));
        for (std::size_t place = 0; place < lists.ids[row].size(); ++place) {
          CHECK(lists.scores[row][place] ==
                doctest::Approx(simgr_test::log_probability(decoder, trie, support,
                                                            decoder.histories[row],
                                                            lists.ids[row][place]))
                    .epsilon(1e-5));
        }
      }
    }
  }
}

TEST_CASE("A beam of unlimited width is exact ranking, under every filter") {
  const Trie trie(simgr_test::random_tuples(70, {4, 3, 5}, 8));
  simgr_test::ToyDecoder decoder{{1, 2, 3}, simgr_test::arbitrary_logit};
  const auto histories = id_lists({{1, 2, 3, 40}, {5, 5, 60}, {69, 0}}), deny = id_lists({{7, 8}}),
             allow = id_lists({{1, 40, 5, 7, 33}, {60, 61, 62, 63}, {69, 9, 0}});
  const std::vector<ItemFilter> filters{{},
                                        {ranker::Seen::remove, histories, {}, {}},
                                        {ranker::Seen::zero, histories, deny, {}},
                                        {ranker::Seen::remove, histories, deny, allow},
                                        {ranker::Seen::zero, histories, deny, allow}};
  for (const ItemFilter& filter : filters) {
    for (const Index k : {3, 100}) {
      const auto beam =
          simgr_test::rank_tokens<TrieBeam>({.width = 1000}, trie, decoder, k, filter);
      const auto exact =
          simgr_test::rank_tokens<ranker::ExactTokenScores>({}, trie, decoder, k, filter);
      CHECK(beam == exact);
      CHECK(beam.ids[0].size() > 0);
    }
  }
}

TEST_CASE("What may not be listed takes no place in a trie beam") {
  const Trie trie(simgr_test::random_tuples(60, {4, 4, 4}, 3));
  simgr_test::ToyDecoder decoder{{7, 4}, simgr_test::arbitrary_logit};
  std::vector<ItemId> history;
  for (ItemId item = 0; item < 60; ++item) {
    if (item % 5 != 0) {
      history.push_back(item);
    }
  }
  const auto histories = id_lists({history, {3, 4}}), allow = id_lists({{11, 52, 30}});
  const std::vector<ItemFilter> filters{{ranker::Seen::remove, histories, {}, {}},
                                        {ranker::Seen::keep, {}, {}, allow}};
  for (const ItemFilter& filter : filters) {
    const auto lists = simgr_test::rank_tokens<TrieBeam>({.width = 3}, trie, decoder, 3, filter);
    for (std::size_t row = 0; row < 2; ++row) {
      std::set<ItemId> listable = all_items(trie);
      if (filter.seen == ranker::Seen::remove) {
        for (const ItemId item : histories[static_cast<Index>(row)]) { listable.erase(item); }
      } else {
        listable = {11, 52, 30};
      }
      CHECK(lists.ids[row] == beam_by_definition(decoder, trie, Support::level,
                                                 decoder.histories[row], 3, 3, listable));
      CHECK(lists.ids[row].size() == 3);
    }
  }
  const auto nothing = id_lists({history, {}}),
             all = id_lists({{0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55}});
  const auto lists = simgr_test::rank_tokens<TrieBeam>({.width = 3}, trie, decoder, 3,
                                                       {ranker::Seen::remove, nothing, all, {}});
  CHECK(lists.ids[0].empty());
  CHECK(lists.ids[1].size() == 3);
}

TEST_CASE("Lists of a trie beam are valid, unique and sorted, and rows do not touch each other") {
  const Trie trie(simgr_test::random_tuples(90, {3, 3, 3}, 5));  // many shared tuples
  simgr_test::ToyDecoder decoder{{1, 2, 3}, simgr_test::arbitrary_logit};
  simgr_test::ToyDecoder turned{{3, 1, 2}, simgr_test::arbitrary_logit};
  const auto lists = simgr_test::rank_tokens<TrieBeam>({.width = 4}, trie, decoder, 50);
  const auto other = simgr_test::rank_tokens<TrieBeam>({.width = 4}, trie, turned, 50);
  for (std::size_t row = 0; row < 3; ++row) {
    const auto& ids = lists.ids[row];
    const auto& scores = lists.scores[row];
    CHECK(std::set<ItemId>(ids.begin(), ids.end()).size() == ids.size());
    CHECK(ids.size() > 4);  // of four tuples
    for (std::size_t i = 0; i < ids.size(); ++i) {
      CHECK((ids[i] >= 0 && ids[i] < trie.items()));
      if (i > 0) {
        CHECK((scores[i] < scores[i - 1] || (scores[i] == scores[i - 1] && ids[i] > ids[i - 1])));
      }
    }
    CHECK(other.ids[(row + 1) % 3] == ids);
  }
}

TEST_CASE("A trie beam over one item, over one digit, and without any row") {
  const Trie item(simgr_test::random_tuples(1, {6, 7, 2}, 3));
  simgr_test::ToyDecoder decoder{{4}, simgr_test::arbitrary_logit};
  CHECK(simgr_test::rank_tokens<TrieBeam>({}, item, decoder, 10).ids[0] == std::vector<ItemId>{0});
  const Trie digit(simgr_test::random_tuples(12, {7}, 3));
  CHECK(simgr_test::rank_tokens<TrieBeam>({.width = 1}, digit, decoder, 0).ids[0].empty());
  CHECK(simgr_test::rank_tokens<TrieBeam>({.width = 7}, digit, decoder, 12).ids[0].size() == 12);
  simgr_test::ToyDecoder nobody{{}, simgr_test::arbitrary_logit};
  CHECK(simgr_test::rank_tokens<TrieBeam>({}, digit, nobody, 3).ids.empty());
}

TEST_CASE("A narrow beam keeps numbers and lets NaN go, and so does exact scoring") {
  SemanticIds ids = simgr_test::random_tuples(4, {2, 2}, 1);
  std::copy_n(std::data({0, 0, 0, 1, 1, 0, 1, 1}), 8, ids.codes.values.begin());
  const Trie trie(ids);
  simgr_test::ToyDecoder decoder{{1}, [](int, const simgr_test::Prefix& prefix, std::int32_t row) {
                                   const bool broken = !prefix.empty() && prefix[0] == 1;
                                   return broken ? std::nan("") : 0.1 * row;
                                 }};
  for (const Index width : {2, 3, 4}) {
    CAPTURE(width);
    const auto list = simgr_test::rank_tokens<TrieBeam>({.width = width}, trie, decoder, 2);
    CHECK(list.ids[0] == std::vector<ItemId>{1, 0});
  }
  const auto exact = simgr_test::rank_tokens<ranker::ExactTokenScores>({}, trie, decoder, 4);
  CHECK(exact.ids[0] == std::vector<ItemId>{1, 0, 2, 3});
}

TEST_CASE("Where some logits are NaN a trie beam still lists items once, the numbers first") {
  const Trie trie(simgr_test::random_tuples(80, {9, 9}, 4));
  simgr_test::ToyDecoder decoder{
      {1, 2}, [](int history, const simgr_test::Prefix& prefix, std::int32_t row) {
        const bool broken = !prefix.empty() && prefix[0] % 2 == 1;
        return broken ? std::nan("") : simgr_test::arbitrary_logit(history, prefix, row);
      }};
  const auto lists = simgr_test::rank_tokens<TrieBeam>({.width = 100}, trie, decoder, 80);
  for (std::size_t row = 0; row < 2; ++row) {
    const auto& scores = lists.scores[row];
    CHECK(std::set<ItemId>(lists.ids[row].begin(), lists.ids[row].end()) == all_items(trie));
    CHECK(std::isnan(scores.back()));
    const auto numbers =
        std::find_if(scores.begin(), scores.end(), [](float score) { return std::isnan(score); });
    CHECK(numbers - scores.begin() > 20);
    CHECK(std::is_sorted(scores.begin(), numbers, std::greater<>()));
    CHECK(std::all_of(numbers, scores.end(), [](float score) { return std::isnan(score); }));
  }
}
