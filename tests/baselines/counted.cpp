// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <simgr/baselines/item_knn.hpp>
#include <simgr/baselines/markov_chain.hpp>
#include <simgr/core/rng.hpp>
#include <simgr/data/sequences.hpp>

#include <support/shared_folder.hpp>
#include <support/temporary_folder.hpp>

namespace {

using simgr::Index;
using simgr::ItemId;
using simgr::baselines::ItemKnn;
using simgr::baselines::MarkovChain;
using simgr::baselines::OneHop;

constexpr Index counted_items = 23;

/// Some histories with repeats, a short one and an empty one; nobody is evaluated.
simgr::data::Split counted_split() {
  simgr::data::Split split;
  split.items = counted_items;
  simgr::Rng rng(3);
  for (Index user = 0; user < 40; ++user) {
    std::vector<ItemId> history;
    for (Index t = 0; t < user % 9; ++t) {
      history.push_back(static_cast<ItemId>(rng.below(counted_items - 1)));  // the last one: never
    }
    split.train.push_back(history);
  }
  return split;
}

const std::vector<std::vector<ItemId>> counted_histories = {{},   {4},    {4, 4}, {1, 7, 2, 7, 19},
                                                            {22}, {3, 22}};

template <class Model>
std::vector<float> counted_scores(const Model& model, const std::vector<ItemId>& history) {
  simgr::Ragged<ItemId> one;
  one.push_back(history);
  std::vector<float> scores(static_cast<std::size_t>(model.items()));
  model.score(one, {scores.data(), {1, model.items()}});
  return scores;
}

bool was_taken(std::span<const ItemId> history, ItemId item) {
  return std::find(history.begin(), history.end(), item) != history.end();
}

double counted_share(const simgr::data::Split& split, ItemId item) {
  const auto count = std::count(split.train.values.begin(), split.train.values.end(), item);
  return static_cast<double>(count) / static_cast<double>(split.train.tokens());
}

/// How often `to` stands right behind `from`.
double times_behind(const simgr::data::Split& split, ItemId from, ItemId to) {
  double count = 0;
  for (Index user = 0; user < split.train.sequences(); ++user) {
    const auto history = split.train[user];
    for (std::size_t t = 1; t < history.size(); ++t) {
      count += history[t - 1] == from && history[t] == to ? 1 : 0;
    }
  }
  return count;
}

template <class Model, class Expected>
void check_counted(const Model& model, Expected&& expected) {
  for (const std::vector<ItemId>& history : counted_histories) {
    const auto found = counted_scores(model, history);
    for (ItemId item = 0; item < counted_items; ++item) {
      REQUIRE(static_cast<double>(found[static_cast<std::size_t>(item)]) ==
              doctest::Approx(expected(history, item)).epsilon(1e-5));
    }
    // Lists are the scores in order, ties by id.
    const auto list = model.recommend(history, counted_items, {.seen = simgr::ranker::Seen::keep});
    REQUIRE(list.size() == counted_items);
    for (std::size_t i = 0; i < list.size(); ++i) {
      REQUIRE(list[i].score == found[static_cast<std::size_t>(list[i].item)]);
      if (i > 0) {
        REQUIRE((list[i - 1].score > list[i].score ||
                 (list[i - 1].score == list[i].score && list[i - 1].item < list[i].item)));
      }
    }
  }
}

TEST_CASE("item-kNN scores are the summed cosines of a candidate's nearest neighbours") {
  const auto split = counted_split();
  for (const Index neighbours : {Index{3}, Index{100}}) {
    ItemKnn model({.items = counted_items},
                  {.neighbours = neighbours, .shrink = 0.5, .prior = 0.25});
    model.fit(split);
    const auto cosine = [&](ItemId a, ItemId b) {
      double both = 0, of_a = 0, of_b = 0;
      for (Index user = 0; user < split.train.sequences(); ++user) {
        const bool has_a = was_taken(split.train[user], a), has_b = was_taken(split.train[user], b);
        of_a += has_a ? 1 : 0;
        of_b += has_b ? 1 : 0;
        both += has_a && has_b ? 1 : 0;
      }
      return both / (std::sqrt(of_a) * std::sqrt(of_b) + 0.5 + 1e-6);
    };
    check_counted(model, [&](const std::vector<ItemId>& history, ItemId item) {
      double sum = 0.25 * counted_share(split, item);
      for (ItemId h = 0; h < counted_items; ++h) {
        Index nearer = 0;  // items that are more alike, or as alike and of lower id
        for (ItemId other = 0; other < counted_items; ++other) {
          const auto one = static_cast<float>(cosine(other, item)),
                     mine = static_cast<float>(cosine(h, item));
          nearer += other != item && (one > mine || (one == mine && other < h)) ? 1 : 0;
        }
        sum += h != item && was_taken(history, h) && nearer < neighbours ? cosine(h, item) : 0;
      }
      return sum;
    });
  }
}

TEST_CASE("a Markov chain scores by what followed the last item, then by popularity") {
  const auto split = counted_split();
  MarkovChain model({.items = counted_items}, {.prior = 0.75});
  model.fit(split);
  check_counted(model, [&](const std::vector<ItemId>& history, ItemId item) {
    return 0.75 * counted_share(split, item) +
           (history.empty() ? 0 : times_behind(split, history.back(), item));
  });
  MarkovChain plain({.items = counted_items}, {.prior = 0});
  plain.fit(split);
  CHECK(counted_scores(plain, {22}) ==
        std::vector<float>(counted_items, 0.0f));  // nothing follows it
}

TEST_CASE("the one-hop table sums what followed each item of a history, each once") {
  const auto split = counted_split();
  OneHop model({.items = counted_items});
  model.fit(split);
  check_counted(model, [&](const std::vector<ItemId>& history, ItemId item) {
    double sum = counted_share(split, item);
    for (ItemId h = 0; h < counted_items; ++h) {
      sum += was_taken(history, h) ? times_behind(split, h, item) : 0;
    }
    return sum;
  });
}

TEST_CASE("counted models are saved and loaded whole; damaged files are refused") {
  const simgr_test::TemporaryFolder folder;
  const std::string file = folder.file("m");
  ItemKnn model({.items = counted_items}, {.neighbours = 5, .shrink = 0.125});
  model.fit(counted_split());
  model.save(file);
  const ItemKnn loaded = ItemKnn::load(file);
  CHECK(loaded.config().neighbours == 5);
  CHECK(loaded.config().shrink == 0.125);
  for (const auto& history : counted_histories) {
    CHECK(counted_scores(loaded, history) == counted_scores(model, history));
  }
  const auto other = MarkovChain::try_load(file);
  REQUIRE_FALSE(other.ok());
  CHECK(std::string(other.error().what()) ==
        file + ": simgr.type: expected MarkovChain, the file holds ItemKnn");

  const auto saved = simgr::io::Checkpoint::read(file);
  const auto message_with = [&](auto&& damage) {
    simgr::SparseRows table = model.table();
    damage(table);
    simgr::io::CheckpointWriter writer;
    for (const auto& [key, text] : saved.texts()) {
      if (key != "simgr.format" && key.find("crc32c") == std::string::npos) {
        writer.set(key, text);
      }
    }
    simgr::io::add_catalogue(writer, model.catalogue());
    simgr::io::add_sparse_rows(writer, "table", table);
    writer.write(file);
    const auto read = ItemKnn::try_load(file);
    return read ? std::string() : std::string(read.error().what());
  };
  CHECK(message_with([](simgr::SparseRows&) {}).empty());
  CHECK(message_with([](simgr::SparseRows& t) {
          t.offsets.pop_back();
        }).find("table.offsets: expected [24], file has [23]") != std::string::npos);
  CHECK(message_with([](simgr::SparseRows& t) {
          t.offsets[1] = t.entries() + 1;
        }).find("table.offsets: expected 24 offsets that rise from 0 to ") != std::string::npos);
  CHECK(message_with([](simgr::SparseRows& t) {
          t.columns[0] = counted_items;
        }).find("table.columns: row 0: expected columns that increase from 0 to 22, found 23") !=
        std::string::npos);
  CHECK(message_with([](simgr::SparseRows& t) {
          t.columns.pop_back();
          t.values.pop_back();
        }).find("table.offsets: expected 24 offsets that rise from 0 to ") != std::string::npos);
  CHECK(message_with([](simgr::SparseRows& t) {
          t.values[0] = INFINITY;
        }).find("table.values: found a value that is not finite") != std::string::npos);
  CHECK_THROWS_WITH_AS(ItemKnn({.items = 3}, {.neighbours = 0}),
                       "neighbours: expected 1 to 1000000, found 0", simgr::ConfigError);
}

}  // namespace

TEST_SUITE("data") {
  TEST_CASE("counts of Beauty and Sports give the figures known for them") {
    const auto shared = simgr_test::shared_folder();
    if (!shared) {
      return;
    }
    struct Known {
      const char* name;
      Index transitions;
      double last, each;  // recall at 5 without items of the history
    };
    for (const Known& known : {Known{"amazon-beauty-2014", 114582, 0.05093, 0.0390},
                               Known{"amazon-sports-2014", 180610, 0.02691, 0.0255}}) {
      const auto split = simgr::data::leave_one_out(simgr::data::read_sequences(
          (*shared / "data" / known.name / "sequences.tsv.gz").string()));
      auto unevaluated = split;
      unevaluated.validation = {};
      const auto recall = [&](auto&& model) {
        model.fit(unevaluated);
        CHECK(model.table().entries() == known.transitions);
        return simgr::eval::evaluate_model(model, split.test,
                                           {.seen = simgr::ranker::Seen::remove, .cutoffs = {5}})
            .at(5)
            .all.hr;
      };
      CHECK(std::abs(recall(MarkovChain({.items = split.items}, {.prior = 0})) - known.last) <
            5e-5);
      CHECK(std::abs(recall(OneHop({.items = split.items}, {.prior = 0})) - known.each) < 5e-5);
    }
  }
}
