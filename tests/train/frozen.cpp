// SPDX-License-Identifier: Apache-2.0
#include <simgr/train/trainer.hpp>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <simgr/encoder/causal_lm.hpp>
#include <simgr/encoder/item_embedding.hpp>
#include <simgr/loss/cross_entropy.hpp>
#include <simgr/pooler/positions.hpp>
#include <simgr/similarity/candidates.hpp>
#include <simgr/similarity/inner_product.hpp>
#include <simgr/train/training_state.hpp>

#include <support/allocations.hpp>
#include <support/copied_checkpoint.hpp>
#include <support/learnt_world.hpp>

namespace {

using namespace simgr;

using Adapted = Recommender<CausalLm<ItemEmbedding, Lora<Linear>>, EveryPosition,
                            InnerProduct<TiedItems>, ItemCrossEntropy<>>;

constexpr Index adapted_items = 17;

Adapted adapted_model(bool frozen, Index width = 8) {
  Adapted::Config config;
  config.encoder.width = width;
  config.encoder.layers = 2;
  config.encoder.inner = 3 * width;
  config.encoder.max_length = 8;
  config.encoder.dropout = 0.1;
  config.encoder.adapters.rank = 2;
  config.encoder.adapters.frozen = frozen;
  return Adapted({.items = adapted_items}, config, 5);
}

train::FitOptions of_adapters() {
  return {.epochs = 6,
          .seed = 2,
          .batch = 8,
          .shards = 2,
          .clip = 0,
          .moving_average = 0.9,
          .optimizer = {.rate = 0.02, .weight_decay = 0.1}};
}

const TensorEntry& tensor_named(const ParameterTable& table, const std::string& name) {
  return *std::find_if(table.tensors.begin(), table.tensors.end(),
                       [&](const TensorEntry& tensor) { return tensor.name == name; });
}

std::span<float> values_of(Adapted& model, const TensorEntry& tensor) {
  return model.weights().subspan(static_cast<std::size_t>(tensor.offset),
                                 static_cast<std::size_t>(tensor.size));
}

bool same_bits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

}  // namespace

TEST_CASE("what is frozen stays, and the rest learns as if it were held in place") {
  const auto split = simgr_test::walks(adapted_items);
  Adapted model = adapted_model(true), held = adapted_model(false);
  const ParameterTable& table = model.table();
  REQUIRE(table.trained_size < table.block_size);
  REQUIRE(held.table().trained_size == held.table().block_size);
  const std::vector<float> before(model.weights().begin(), model.weights().end());
  const auto start = [&](const TensorEntry& tensor) {
    return std::span<const float>(before).subspan(static_cast<std::size_t>(tensor.offset),
                                                  static_cast<std::size_t>(tensor.size));
  };
  train::Trainer<Adapted> trainer(model, split, of_adapters()), holder(held, split, of_adapters());
  Silent silent;
  const Serial serial;
  for (int step = 0; step < 12; ++step) {
    trainer.step(silent, serial);
    holder.step(silent, serial);
    for (const TensorEntry& tensor : table.tensors) {
      const auto values = values_of(held, tensor_named(held.table(), tensor.name));
      if (tensor.trained == Trained::no) {
        std::copy(start(tensor).begin(), start(tensor).end(), values.begin());
      } else {
        CAPTURE(tensor.name);
        CHECK(same_bits(values_of(model, tensor), values));
      }
    }
  }
  for (const TensorEntry& tensor : table.tensors) {
    CAPTURE(tensor.name);
    CHECK(same_bits(values_of(model, tensor), start(tensor)) == (tensor.trained == Trained::no));
  }
}

TEST_CASE("a frozen weight has no gradient, no moments, no average and no copy") {
  const auto split = simgr_test::walks(adapted_items);
  Adapted model = adapted_model(true, 64);
  const Index trained = model.table().trained_size;
  REQUIRE(model.table().block_size > 10 * trained);
  const std::size_t at_first = simgr_test::allocated_bytes();
  train::Trainer<Adapted> trainer(model, split, of_adapters());
  // Two shards, two moments, the average.
  const auto most = static_cast<std::size_t>(5 * trained) * sizeof(float) + (32 << 10);
  CHECK(simgr_test::allocated_bytes() - at_first < most);
  Silent silent;
  while (trainer.step(silent, Serial{})) {}
  CHECK(static_cast<Index>(trainer.best_weights().size()) == trained);
  trainer.finish();
}

TEST_CASE("a run over frozen weights goes on from its file, also from one that lists them all") {
  const simgr_test::TemporaryFolder folder;
  const auto split = simgr_test::walks(adapted_items);
  Silent silent;
  Adapted model = adapted_model(true);
  train::Trainer<Adapted> trainer(model, split, of_adapters());
  for (int step = 0; step < 13; ++step) { trainer.step(silent, Serial{}); }
  train::save_training_state(trainer, folder.file("state"));
  // As files were before: moments, averages and best weights of frozen tensors too, and no precision.
  {
    io::CheckpointWriter writer = simgr_test::copied_checkpoint(
        io::Checkpoint::read(folder.file("state")),
        [](std::string_view key) { return key == "simgr.fit.precision"; });
    for (const TensorEntry& tensor : model.table().tensors) {
      if (tensor.trained == Trained::no) {
        const std::vector<float> zeros(static_cast<std::size_t>(tensor.size));
        for (const char* group : {"moment_0/", "moment_1/", "average/", "best/"}) {
          writer.add_copy(group + tensor.name, tensor.shape, std::span<const float>(zeros));
        }
      }
    }
    writer.write(folder.file("older"));
  }
  while (trainer.step(silent, Serial{})) {}
  trainer.finish();
  for (const char* file : {"state", "older"}) {
    CAPTURE(file);
    Adapted other = adapted_model(true);
    train::Trainer<Adapted> goes_on(other, split, of_adapters());
    train::load_training_state(goes_on, folder.file(file));
    while (goes_on.step(silent, Serial{})) {}
    goes_on.finish();
    CHECK(same_bits(model.weights(), other.weights()));
  }
}
