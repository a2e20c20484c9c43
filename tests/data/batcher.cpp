// SPDX-License-Identifier: Apache-2.0
#include <simgr/data/batcher.hpp>

#include <algorithm>
#include <map>
#include <utility>

#include <doctest/doctest.h>

using namespace simgr;

namespace {

constexpr ItemId mask_of_batcher = 90;

/// Every example of an epoch, each in a batch of its own.
std::vector<data::Batch> hidden(const data::Batcher& batcher) {
  std::vector<data::Batch> batches;
  for (Index i = 0; i < batcher.examples(); ++i) { batcher.fill(i, 1, batches.emplace_back()); }
  return batches;
}

}  // namespace

TEST_CASE("hidden items are the targets of their history, and the rest stands as it was") {
  Ragged<ItemId> users;
  for (ItemId user = 0; user < 20; ++user) {
    std::vector<ItemId> sequence;
    for (ItemId t = 0; t < 1 + user % 7; ++t) { sequence.push_back(4 * t); }
    users.push_back(sequence);
  }
  for (const double last_alone : {0.0, 0.5, 1.0}) {
    data::Batcher batcher(users, Examples::hidden_items, 3, 5, {}, {0.3, last_alone},
                          mask_of_batcher);
    CHECK(batcher.examples() == 57);  // n - 1 of a user of n items
    Index alone = 0, examples = 0, masks = 0, tokens = 0;
    for (Index epoch = 0; epoch < 40; ++epoch) {
      batcher.begin_epoch(epoch);
      for (const data::Batch& batch : hidden(batcher)) {
        REQUIRE(batch.rows == std::vector<Index>{0, static_cast<Index>(batch.targets.size())});
        REQUIRE(!batch.targets.empty());
        REQUIRE(batch.history.tokens() <= 4);  // three, and the one at the end
        std::size_t next = 0;
        ItemId before = -4;
        for (const ItemId item : batch.history.values) {
          const ItemId is = item == mask_of_batcher ? batch.targets[next++] : item;
          CHECK((is == before + 4 || before == -4));
          before = is;
        }
        CHECK(next == batch.targets.size());
        const bool last_only =
            batch.targets.size() == 1 && batch.history.values.back() == mask_of_batcher;
        alone += last_only ? 1 : 0;
        masks += static_cast<Index>(batch.targets.size());
        tokens += batch.history.tokens();
        ++examples;
      }
    }
    const double share = static_cast<double>(alone) / static_cast<double>(examples);
    if (last_alone == 1) {
      CHECK(alone == examples);
    } else {
      CHECK(share > last_alone + 0.1);  // by chance, too
      CHECK(share < last_alone + 0.5);
      CHECK(static_cast<double>(masks) < 0.5 * static_cast<double>(tokens));
    }
  }
}

TEST_CASE("what is hidden of an example depends on the epoch and on nothing else") {
  Ragged<ItemId> users;
  for (ItemId user = 0; user < 8; ++user) {
    users.push_back(std::vector<ItemId>{user, user + 8, user + 16, user + 24, user + 32});
  }
  const auto of_epoch = [&](Index epoch) {
    data::Batcher batcher(users, Examples::hidden_items, 9, 5, {}, {}, mask_of_batcher);
    batcher.begin_epoch(epoch);
    std::vector<std::vector<ItemId>> all;
    for (data::Batch& batch : hidden(batcher)) {
      all.push_back(batch.targets);
      all.back().insert(all.back().end(), batch.history.values.begin(), batch.history.values.end());
    }
    std::sort(all.begin(), all.end());
    return all;
  };
  CHECK(of_epoch(3) == of_epoch(3));
  CHECK(of_epoch(3) != of_epoch(4));
  data::Batcher some(users, Examples::hidden_items, 9, 5, {.per_user = 2}, {}, mask_of_batcher);
  CHECK(some.examples() == 16);
}

TEST_CASE("sub-sequences: over the epochs every contiguous part is an example, evenly") {
  Ragged<ItemId> users;
  users.push_back(std::vector<ItemId>{0, 1, 2, 3, 4, 5});
  for (const Examples examples : {Examples::every_prefix, Examples::every_position}) {
    data::Batcher batcher(users, examples, 4, 5, {.sub_sequences = true});
    std::map<std::pair<ItemId, ItemId>, Index> seen;  // first item and last of a history
    const Index epochs = 2000;
    for (Index epoch = 0; epoch < epochs; ++epoch) {
      batcher.begin_epoch(epoch);
      for (const data::Batch& batch : hidden(batcher)) {
        const std::vector<ItemId>& read = batch.history.values;
        REQUIRE(!read.empty());
        REQUIRE(read.size() <= 4);
        for (std::size_t i = 1; i < read.size(); ++i) { REQUIRE(read[i] == read[i - 1] + 1); }
        if (examples == Examples::every_position) {
          REQUIRE(batch.targets.size() == read.size());
          REQUIRE(batch.targets.front() == read.front() + 1);
        }
        REQUIRE(batch.targets.back() == read.back() + 1);
        ++seen[{read.front(), read.back()}];
      }
    }
    // Ends 1 to 5 have 1, 2, 3, 4 and 4 beginnings; in the other case the end is 5 alone.
    CHECK(seen.size() == (examples == Examples::every_prefix ? 14 : 4));
    for (const auto& [ends, times] : seen) {
      const Index beginnings = std::min<Index>(4, ends.second + 1);
      CHECK(times > epochs / beginnings * 8 / 10);
      CHECK(times < epochs / beginnings * 12 / 10 + 1);
    }
  }
}

TEST_CASE("where sub-sequences begin depends on the epoch and on nothing else") {
  Ragged<ItemId> users;
  for (ItemId user = 0; user < 8; ++user) {
    users.push_back(std::vector<ItemId>{user, user + 8, user + 16, user + 24, user + 32});
  }
  const auto of_epoch = [&](Index epoch, Index per_user) {
    data::Batcher batcher(users, Examples::every_prefix, 9, 5, {per_user, true});
    batcher.begin_epoch(epoch);
    std::map<ItemId, std::vector<ItemId>> all;  // by their target
    for (const data::Batch& batch : hidden(batcher)) {
      all[batch.targets.front()] = batch.history.values;
    }
    return all;
  };
  CHECK(of_epoch(3, 0) == of_epoch(3, 0));
  CHECK(of_epoch(3, 0) != of_epoch(4, 0));
  const auto whole = of_epoch(3, 0);
  for (const auto& [target, read] : of_epoch(3, 2)) { CHECK(whole.at(target) == read); }
}
