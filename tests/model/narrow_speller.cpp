// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <simgr/encoder/causal_lm.hpp>
#include <simgr/encoder/semantic_embedding.hpp>
#include <simgr/io/model_file.hpp>
#include <simgr/loss/digit_cross_entropy.hpp>
#include <simgr/pooler/every_digit.hpp>
#include <simgr/ranker/trie_beam.hpp>
#include <simgr/recommender.hpp>
#include <simgr/similarity/digit_codebooks.hpp>
#include <simgr/similarity/inner_product.hpp>
#include <simgr/train/trainer.hpp>
#include <simgr/train/training_state.hpp>

#include <support/learnt_world.hpp>

// A whole recommender whose frozen maps are bfloat16: made, served by a beam, trained and saved.

using namespace simgr;

namespace {

template <class Base>
using AdaptedSpeller =
    Recommender<CausalLm<SemanticEmbedding, Lora<Base>>, EveryDigit, InnerProduct<DigitCodebooks>,
                DigitCrossEntropy, ranker::TrieBeam>;
using NarrowSpeller = AdaptedSpeller<Narrow<Linear>>;
using WideSpeller = AdaptedSpeller<Linear>;

template <class Model>
Model adapted_speller() {
  typename Model::Config config;
  config.encoder.width = 32;
  config.encoder.inner = 64;
  config.encoder.max_length = 6;
  config.encoder.deviation = .2;
  config.encoder.adapters.rank = 2;
  Catalogue catalogue{.items = 12};
  catalogue.ids.codes = OwnedMatrix<std::int32_t>(12, 2);
  for (std::int32_t i = 0; i < 12; ++i) {
    catalogue.ids.codes.values[static_cast<std::size_t>(2 * i)] = i / 4;
    catalogue.ids.codes.values[static_cast<std::size_t>(2 * i + 1)] = i % 4;
  }
  catalogue.ids.codes_per_digit = {3, 4};
  return Model(std::move(catalogue), config, 7);
}

template <class Model>
auto list_of(const Model& model) {
  const std::vector<ItemId> history{3, 8, 1};
  return model.recommend(history, 8);
}

}  // namespace

TEST_CASE("a beam over narrow maps lists what one over the widened maps lists, also once trained") {
  NarrowSpeller narrow = adapted_speller<NarrowSpeller>();
  WideSpeller wide = adapted_speller<WideSpeller>();
  Index rounded = 0;
  for (const TensorEntry& tensor : narrow.table().tensors) {
    if (tensor.storage == Storage::bf16) {
      const auto other = std::find_if(wide.table().tensors.begin(), wide.table().tensors.end(),
                                      [&](const auto& it) { return it.name == tensor.name; });
      const auto* const from =
          reinterpret_cast<const BFloat16*>(narrow.weights().data() + tensor.offset);
      for (Index i = 0; i < tensor.size; ++i) {
        wide.weights()[static_cast<std::size_t>(other->offset + i)] = widened(from[i]);
      }
      rounded += tensor.size;
    }
  }
  wide.refresh();
  CHECK(rounded == 2 * (4 * 32 * 32 + 3 * 32 * 64));
  const auto meets = [&] {
    const auto list = list_of(narrow), expected = list_of(wide);
    REQUIRE(list.size() == 8);
    REQUIRE(expected.size() == 8);
    for (std::size_t i = 0; i < list.size(); ++i) {
      CHECK(list[i].item == expected[i].item);
      CHECK(list[i].score == doctest::Approx(expected[i].score).epsilon(1e-4));
    }
  };
  meets();
  const auto split = simgr_test::walks(12);
  const std::vector<float> before(narrow.weights().begin(), narrow.weights().end());
  const train::FitOptions options{
      .epochs = 3, .batch = 8, .shards = 2, .optimizer = {.rate = 3e-3}};
  narrow.fit(split, options);
  wide.fit(split, options);
  meets();
  const auto frozen = static_cast<std::size_t>(narrow.table().trained_size);
  CHECK(std::memcmp(before.data() + frozen, narrow.weights().data() + frozen,
                    (before.size() - frozen) * sizeof(float)) == 0);
  CHECK(std::memcmp(before.data(), narrow.weights().data(), frozen * sizeof(float)) != 0);

  const simgr_test::TemporaryFolder folder;
  narrow.save(folder.file("m"));
  const NarrowSpeller again = NarrowSpeller::load(folder.file("m"));
  CHECK(std::memcmp(again.weights().data(), narrow.weights().data(),
                    before.size() * sizeof(float)) == 0);
  const auto list = list_of(narrow), loaded = list_of(again);
  for (std::size_t i = 0; i < list.size(); ++i) { CHECK(list[i].score == loaded[i].score); }
}

TEST_CASE("training over narrow maps goes on from its file with the same bits") {
  const simgr_test::TemporaryFolder folder;
  const auto split = simgr_test::walks(12);
  const train::FitOptions options{
      .epochs = 2, .batch = 8, .shards = 2, .moving_average = .9, .optimizer = {.rate = 3e-3}};
  Silent silent;
  NarrowSpeller model = adapted_speller<NarrowSpeller>(), other = adapted_speller<NarrowSpeller>();
  // Another frozen map, which the file puts right.
  reinterpret_cast<BFloat16*>(other.weights().data() + other.table().tensors.back().offset)->bits ^=
      1u;
  train::Trainer<NarrowSpeller> trainer(model, split, options), goes_on(other, split, options);
  for (int step = 0; step < 7; ++step) { trainer.step(silent, Serial{}); }
  train::save_training_state(trainer, folder.file("state"));
  train::load_training_state(goes_on, folder.file("state"));
  while (trainer.step(silent, Serial{})) {}
  while (goes_on.step(silent, Serial{})) {}
  trainer.finish();
  goes_on.finish();
  CHECK(std::memcmp(model.weights().data(), other.weights().data(), model.weights().size_bytes()) ==
        0);
}
