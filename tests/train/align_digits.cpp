// SPDX-License-Identifier: Apache-2.0
#include <simgr/train/align_digits.hpp>

#include <algorithm>
#include <vector>

#include <doctest/doctest.h>

#include <support/interrupted_stage.hpp>
#include <support/weights_of.hpp>

#include <simgr/baselines/over_language_models.hpp>
#include <simgr/cpu/thread_pool.hpp>

using namespace simgr;

namespace {

/// Twelve items of two digits; the words of an item's text say which, item 5 has none.
Catalogue spoken_catalogue() {
  Catalogue catalogue{.items = 12};
  catalogue.ids.codes_per_digit = {4, 3};
  catalogue.ids.codes = OwnedMatrix<std::int32_t>(12, 2);
  Prompt& prompt = catalogue.prompt;
  prompt.words = 16;
  prompt.wording = {.before = {12}, .between = {13}, .behind = {14}};
  for (std::int32_t item = 0; item < 12; ++item) {
    catalogue.ids.codes.view()(item, 0) = item / 3;
    catalogue.ids.codes.view()(item, 1) = item % 3;
    const std::vector<std::int32_t> words{item / 3, 4 + item % 3};
    prompt.texts.push_back(item == 5 ? std::vector<std::int32_t>() : words);
  }
  prompt.tasks = {{std::string(ItemToIndex::name), {.before = {10}, .behind = {11}}},
                  {std::string(ItemToIndex::name), {.before = {9}, .behind = {15}}}};
  return catalogue;
}

template <class Model>
Model model_to_align(bool frozen = false, Index rank = 0) {
  typename Model::Config config;
  config.encoder.width = 16;
  config.encoder.layers = 2;
  config.encoder.heads = 2;
  if constexpr (requires { config.encoder.kv_heads; }) {
    config.encoder.kv_heads = 2;
    config.encoder.adapters = {.rank = rank, .frozen = frozen};
  }
  config.encoder.inner = 24;
  config.encoder.max_length = 4;
  config.encoder.embedding.longest = 24;
  config.encoder.embedding.deviation = 0.3;
  return Model(spoken_catalogue(), config, 3);
}

using simgr_test::weights_of;
using Speller = baselines::LcRecOver<baselines::DecoderLm>;

/// Aligns, and tells the losses; checks that the rows of digits moved and nothing else did.
template <class Model>
std::vector<double> aligned_losses(Model& model, const train::AlignOptions& options) {
  const std::vector<float> before = weights_of(model);
  std::vector<double> losses;
  train::align_digits(model, options, [&](const train::PretrainReport& report) {
    CHECK(report.epoch == std::ssize(losses) + 1);
    losses.push_back(report.loss);
  });
  for (const TensorEntry& tensor : model.table().tensors) {
    CAPTURE(tensor.name);
    const auto at = static_cast<std::ptrdiff_t>(tensor.offset);
    const bool same = std::equal(before.begin() + at, before.begin() + at + tensor.size,
                                 model.weights().begin() + at);
    CHECK(same == (tensor.name != "encoder.embedding.digits"));
  }
  CHECK(std::ssize(losses) == options.epochs);
  return losses;
}

}  // namespace

TEST_CASE("aligning moves the digits' rows alone, until texts find their ids") {
  const train::AlignOptions options{.epochs = 60, .batch = 6, .rate = 3e-2};
  const auto check = [&](auto model) {
    const auto losses = aligned_losses(model, options);
    CHECK(losses.back() < 0.4 * losses.front());
  };
  check(model_to_align<Speller>());
  check(model_to_align<Speller>(true));
  check(model_to_align<Speller>(true, 2));
  check(model_to_align<baselines::LcRecOver<baselines::Gpt2>>());
  check(model_to_align<baselines::SimGrOver<baselines::DecoderLm>>());
}

TEST_CASE("aligning is the same whatever the language model does later, and on any threads") {
  const train::AlignOptions options{.epochs = 3, .batch = 5, .rate = 1e-2};
  auto trained = model_to_align<Speller>(), frozen = model_to_align<Speller>(true),
       pooled = model_to_align<Speller>();
  train::align_digits(trained, options);
  train::align_digits(frozen, options);
  cpu::ThreadPool pool(2);
  train::align_digits(pooled, options, Silent{}, pool);
  CHECK(weights_of(trained) == weights_of(pooled));
  const auto digits_of = [](const Speller& model) {
    std::vector<float> digits;
    for (const TensorEntry& tensor : model.table().tensors) {
      if (tensor.name == "encoder.embedding.digits") {
        digits.assign(model.weights().begin() + tensor.offset,
                      model.weights().begin() + tensor.offset + tensor.size);
      }
    }
    return digits;
  };
  CHECK(digits_of(trained) == digits_of(frozen));
  auto other = model_to_align<Speller>();
  train::align_digits(other, {.epochs = 3, .seed = 2, .batch = 5, .rate = 1e-2});
  CHECK(digits_of(other) != digits_of(trained));
  auto none = model_to_align<Speller>();
  const auto before = weights_of(none);
  train::align_digits(none, {.epochs = 0});
  CHECK(weights_of(none) == before);
}

TEST_CASE("aligning goes on where it was interrupted") {
  simgr_test::check_interrupted_stage(
      3, [] { return model_to_align<Speller>(); },
      [&](Speller& model, const auto& observer, const train::StageFile& file) {
        const train::AlignOptions options{.epochs = 3, .batch = 5, .rate = 1e-2};
        train::align_digits(model, options, observer, Serial{}, file);
      });
}

TEST_CASE("aligning needs texts, options in range, and an encoder that sees the past alone") {
  auto model = model_to_align<Speller>();
  CHECK_THROWS_WITH_AS(train::align_digits(model, {.batch = 0}),
                       doctest::Contains("aligning.batch"), ConfigError);
  Catalogue silent = spoken_catalogue();
  silent.prompt.texts = {};
  Speller deaf(silent, model.config(), 3);
  CHECK_THROWS_WITH_AS(train::align_digits(deaf, {}), doctest::Contains("texts"), ConfigError);
  static_assert(train::aligns_digits<baselines::SimGrOver<baselines::NarrowDecoderLm>>);
  static_assert(!train::aligns_digits<baselines::SimGrOver<baselines::Bert>>);
  static_assert(!train::aligns_digits<baselines::E4SRec>);
}
