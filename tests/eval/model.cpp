// SPDX-License-Identifier: Apache-2.0
#include <simgr/eval/model.hpp>

#include <vector>

#include <doctest/doctest.h>

namespace {

using namespace simgr;

/// Lists the items behind the last one of a history, as many as the history has; many at a time.
struct NextItemsModel {
  Index items() const { return 5; }
  void recommend(RaggedView<ItemId> histories, Index k, const RecommendOptions&,
                 std::span<Recommended> list, Vector<Index> found) const {
    for (Index row = 0; row < histories.sequences(); ++row) {
      found[row] = std::min(k, static_cast<Index>(histories[row].size()));
      for (Index place = 0; place < found[row]; ++place) {
        const auto item = (histories[row].back() + 1 + place) % items();
        list[static_cast<std::size_t>(row * k + place)] = {static_cast<ItemId>(item), 1};
      }
    }
  }
};
/// The same, one at a time.
struct NextItemsOneByOne {
  Index items() const { return 5; }
  Index recommend(std::span<const ItemId> history, const RecommendOptions& options,
                  std::span<Recommended> list) const {
    const Index offsets[2] = {0, static_cast<Index>(history.size())};
    Index found = 0;
    NextItemsModel{}.recommend({history, offsets}, static_cast<Index>(list.size()), options, list,
                               {&found, {1}});
    return found;
  }
};

}  // namespace

TEST_CASE("Served lists are those of every case, in parts or one by one, short ones too") {
  data::Evaluation cases;
  Ragged<ItemId> expected;
  for (ItemId u = 0; u < 600; ++u) {
    const std::vector<ItemId> history(static_cast<std::size_t>(u % 4), u % 5);
    cases.histories.push_back(history);
    cases.targets.push_back(0);
    cases.users.push_back(u);
    std::vector<ItemId> list;
    for (ItemId place = 0; place < std::min(u % 4, 2); ++place) {
      list.push_back((u + 1 + place) % 5);
    }
    expected.push_back(list);
  }
  for (const auto& lists : {eval::served_lists(NextItemsModel{}, cases, 2),
                            eval::served_lists(NextItemsOneByOne{}, cases, 2)}) {
    CHECK(lists.values == expected.values);
    CHECK(lists.offsets == expected.offsets);
  }
  CHECK(eval::served_lists(NextItemsModel{}, cases, 9)[3].size() == 3);
  CHECK(eval::served_lists(NextItemsModel{}, {}, 2).sequences() == 0);
}
