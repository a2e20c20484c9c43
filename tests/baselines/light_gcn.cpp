// SPDX-License-Identifier: Apache-2.0
#include <simgr/baselines/light_gcn.hpp>

#include <cmath>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <support/gradient_check.hpp>
#include <support/temporary_folder.hpp>

#include <simgr/cpu/thread_pool.hpp>
#include <simgr/train/training_state.hpp>

namespace {

using namespace simgr;
using baselines::LightGcn;
using train::Nodes;
using train::NodeTables;
using train::Preference;

constexpr Index graph_items = 9;

/// Users of whom some repeat an item, one has nothing and two begin alike; item 8: nobody's.
Ragged<ItemId> graph_histories() {
  Ragged<ItemId> histories;
  for (const std::vector<ItemId>& history :
       {std::vector<ItemId>{0, 3, 3, 5}, {1, 2}, {}, {0, 3}, {7, 6, 5, 4, 1}, {2, 7, 0}}) {
    histories.push_back(history);
  }
  return histories;
}

/// A split of two worlds, each of which likes its own half of the items.
data::Split two_tastes() {
  data::Interactions interactions{.items = 24};
  Rng rng(4);
  for (Index user = 0; user < 60; ++user) {
    std::vector<ItemId> all(12);
    for (std::size_t i = 0; i < all.size(); ++i) {
      all[i] = static_cast<ItemId>(i) + (user % 2 == 0 ? 0 : 12);
    }
    rng.shuffle(std::span(all));
    interactions.histories.push_back(std::span<const ItemId>(all).first(7));
  }
  return data::leave_one_out(interactions);
}

/// Tables in double, and the memory they lie in.
struct Drawn {
  NodeTables::Config sizes{6, graph_items, 4, 0.1};
  ParameterTable table = describe<NodeTables>(sizes);
  std::vector<double> block;

  explicit Drawn(std::uint64_t seed) : block(simgr_test::random_block(table, seed)) {}
  Nodes<double> nodes() { return bind<NodeTables>(sizes, block.data()); }
};

}  // namespace

TEST_CASE("LightGCN gives the gradient of every row") {
  const auto graph = train::user_item_graph(graph_histories(), graph_items);
  const std::vector<Preference> preferences = {{0, 3, 1}, {4, 6, 2}, {0, 5, 8}, {5, 2, 3}};
  Arena arena;
  const Serial serial;
  for (const Index layers : {0, 1, 3}) {
    Drawn x(3), gradient(4);
    std::fill(gradient.block.begin(), gradient.block.end(), 0.0);
    const auto loss = [&] {
      arena.reset();
      return train::graph_bpr<double>(serial, graph, layers, 0.3, x.nodes(),
                                      std::span<const Preference>(preferences), gradient.nodes(),
                                      arena);
    };
    loss();
    const std::vector<double> claimed = gradient.block;
    std::vector<simgr_test::Block> blocks;
    for (const TensorEntry& tensor : x.table.tensors) {
      const auto at = static_cast<std::size_t>(tensor.offset),
                 size = static_cast<std::size_t>(tensor.size);
      blocks.push_back({tensor.name, std::span(x.block).subspan(at, size),
                        std::span(claimed).subspan(at, size)});
    }
    simgr_test::compare_with_differences(blocks, loss, 1e-7);
  }
}

TEST_CASE("propagation is the mean of the powers of the normalised adjacency") {
  const auto histories = graph_histories();
  const auto graph = train::user_item_graph(histories, graph_items);
  const Index users = 6, all = users + graph_items, width = 4, layers = 3;
  // Dense, users before items, by the definition.
  std::vector<double> edges(static_cast<std::size_t>(all * all), 0.0);
  const auto edge = [&](Index a, Index b) -> double& {
    return edges[static_cast<std::size_t>(a * all + b)];
  };
  for (Index u = 0; u < users; ++u) {
    for (const ItemId item : histories[u]) { edge(u, users + item) = edge(users + item, u) = 1; }
  }
  std::vector<double> degree;
  for (Index a = 0; a < all; ++a) {
    degree.push_back(0);
    for (Index b = 0; b < all; ++b) { degree.back() += edge(a, b); }
  }
  Drawn x(5), y(6);
  std::vector<double> now(static_cast<std::size_t>(all * width));
  for (Index a = 0; a < all; ++a) {
    for (Index k = 0; k < width; ++k) {
      now[static_cast<std::size_t>(a * width + k)] =
          a < users ? x.nodes().users(a, k) : x.nodes().items(a - users, k);
    }
  }
  std::vector<double> sum = now;
  for (Index layer = 0; layer < layers; ++layer) {
    std::vector<double> next(now.size(), 0.0);
    for (Index a = 0; a < all; ++a) {
      for (Index b = 0; b < all; ++b) {
        if (edge(a, b) > 0) {
          const double weight = 1 / std::sqrt(degree[static_cast<std::size_t>(a)] *
                                              degree[static_cast<std::size_t>(b)]);
          for (Index k = 0; k < width; ++k) {
            next[static_cast<std::size_t>(a * width + k)] +=
                weight * now[static_cast<std::size_t>(b * width + k)];
          }
        }
      }
    }
    now = next;
    for (std::size_t i = 0; i < sum.size(); ++i) { sum[i] += now[i]; }
  }
  Arena arena;
  const Serial serial;
  train::propagate<double>(serial, graph, layers, x.nodes(), y.nodes(), arena);
  for (Index a = 0; a < all; ++a) {
    for (Index k = 0; k < width; ++k) {
      const double found = a < users ? y.nodes().users(a, k) : y.nodes().items(a - users, k);
      REQUIRE(found == doctest::Approx(sum[static_cast<std::size_t>(a * width + k)] / (layers + 1))
                           .epsilon(1e-6));  // weights of edges are floats
    }
  }
}

TEST_CASE("LightGCN learns who likes what; a training history stands for its user's own row") {
  const auto split = two_tastes();
  LightGcn model({.items = split.items}, {.width = 8, .layers = 2});
  const auto before = eval::evaluate_model(model, split.test, {.seen = ranker::Seen::remove});
  std::vector<double> losses;
  const auto result = model.fit(
      split, {.epochs = 60, .batch = 32, .seen = ranker::Seen::remove, .optimizer = {.rate = 0.02}},
      [&](const train::EpochReport& epoch) { losses.push_back(epoch.loss); });
  CHECK(result.epochs == 60);
  const auto best =
      eval::evaluate_model(model, split.validation, {.seen = ranker::Seen::remove}).at(10).all;
  CHECK(result.best_validation_ndcg10.value() == doctest::Approx(best.ndcg).epsilon(1e-12));
  CHECK(losses.back() < losses.front() / 2);
  const auto after = eval::evaluate_model(model, split.test, {.seen = ranker::Seen::remove});
  CHECK(after.at(10).all.hr > 0.95);  // seven of twelve items of a taste are left, or less
  CHECK(before.at(10).all.hr < 0.8);

  // Vectors of training histories are the propagated rows of their users.
  Arena arena;
  const auto x = model.rows(), y = train::nodes_like(x, arena);
  const Serial serial;
  train::propagate<float>(serial, model.graph(), 2, x, y, arena);
  OwnedMatrix<float> vectors(model.users(), 8);
  model.encode(split.train, vectors.view());
  for (Index i = 0; i < vectors.view().size(); ++i) {
    REQUIRE(vectors.values[static_cast<std::size_t>(i)] ==
            doctest::Approx(y.users.data()[i]).epsilon(1e-4));
  }
  // Turned round it is nobody's: the neighbours' part alone, without a third of the own row.
  std::vector<ItemId> turned(split.train[0].rbegin(), split.train[0].rend());
  Ragged<ItemId> stranger;
  stranger.push_back(turned);
  OwnedMatrix<float> vector(1, 8);
  model.encode(stranger, vector.view());
  for (Index k = 0; k < 8; ++k) {
    CHECK(vector.view()(0, k) == doctest::Approx(y.users(0, k) - x.users(0, k) / 3).epsilon(1e-3));
  }
}

TEST_CASE("the bits of LightGCN depend on the seed alone; it is saved and loaded whole") {
  const auto split = two_tastes();
  const train::FitOptions options{.epochs = 3, .seed = 5, .batch = 50};
  const auto trained = [&](auto&& executor) {
    LightGcn model({.items = split.items}, {.width = 4});
    model.fit(
        split, options, [](const auto&) { return true; }, executor);
    return model;
  };
  const LightGcn model = trained(Serial{}), again = trained(cpu::ThreadPool(2));
  const simgr_test::TemporaryFolder folder;
  const std::string file = folder.file("m");
  model.save(file);
  const LightGcn loaded = LightGcn::load(file);
  for (const std::vector<ItemId>& history : {std::vector<ItemId>{}, {3}, {14, 2, 14}}) {
    const auto list = model.recommend(history, 24);
    for (const LightGcn* other : {&again, &loaded}) {
      const auto same = other->recommend(history, 24);
      REQUIRE(same.size() == list.size());
      for (std::size_t i = 0; i < list.size(); ++i) {
        REQUIRE(same[i].item == list[i].item);
        REQUIRE(same[i].score == list[i].score);
      }
    }
  }
  CHECK_THROWS_WITH_AS(model.recommend(std::vector<ItemId>{24}, 1),
                       "history: item 24 is not one of 0 to 23", DataError);

  const auto saved = io::Checkpoint::read(file);
  io::CheckpointWriter writer;
  for (const auto& [key, text] : saved.texts()) {
    if (key != "simgr.format" && key.find("crc32c") == std::string::npos) {
      writer.set(key, text);
    }
  }
  Ragged<ItemId> foreign;
  foreign.push_back(std::vector<ItemId>{24});
  io::add_catalogue(writer, model.catalogue());
  io::add_ragged(writer, "histories/items", foreign);
  writer.write(file);
  const auto read = LightGcn::try_load(file);
  REQUIRE_FALSE(read.ok());
  CHECK(std::string(read.error().what()) ==
        file + ": histories/items.values: item 24 is not one of 0 to 23");
  LightGcn other({.items = 3});
  CHECK_THROWS_AS(other.fit(split, options), DataError);
  CHECK_THROWS_AS(LightGcn({.items = split.items}).fit(split, {.accumulate = 2}), ConfigError);
}

TEST_CASE("LightGCN is resumed at any step with the bits of the run that was not interrupted") {
  const auto split = two_tastes();
  const train::FitOptions options{.epochs = 3,
                                  .seed = 5,
                                  .batch = 50,
                                  .evaluate_every = 1,
                                  .patience = 2,
                                  .optimizer = {.rate = 0.02}};
  const simgr_test::TemporaryFolder folder;
  Silent silent;
  const auto trained = [&](Index stop) {
    const auto fresh = [&] { return LightGcn({.items = split.items}, {.width = 4}); };
    if (stop >= 0) {
      LightGcn model = fresh();
      train::LightGcnTrainer trainer(model, split, options);
      for (Index step = 0; step < stop; ++step) { trainer.step(silent, Serial{}); }
      train::save_training_state(trainer, folder.file("state"));
    }
    LightGcn model = fresh();
    train::LightGcnTrainer trainer(model, split, options);
    if (stop >= 0) {
      train::load_training_state(trainer, folder.file("state"));
    }
    while (trainer.step(silent, Serial{})) {}
    trainer.finish();
    const auto weights = std::as_const(model).weights();
    return std::vector<float>(weights.begin(), weights.end());
  };
  const std::vector<float> whole = trained(-1);
  LightGcn model({.items = split.items}, {.width = 4});
  const Index steps = 3 * train::LightGcnTrainer(model, split, options).steps_per_epoch();
  REQUIRE(steps > 9);
  for (Index stop = 0; stop <= steps; ++stop) {
    CAPTURE(stop);
    CHECK(trained(stop) == whole);
  }

  auto others = options;
  others.optimizer.rate = 0.03;
  train::LightGcnTrainer trainer(model, split, others);
  const auto failure = train::try_load_training_state(trainer, folder.file("state"));
  REQUIRE(failure);
  CHECK(std::string(failure->what()).find("optimizer.rate was 0.02, is 0.03") != std::string::npos);
}
