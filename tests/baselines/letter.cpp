// SPDX-License-Identifier: Apache-2.0
#include <simgr/baselines/letter.hpp>

#include <doctest/doctest.h>

#include <support/learnt_world.hpp>
#include <support/small_speller.hpp>
#include <support/temporary_folder.hpp>
#include <support/whole_model.hpp>

#include <simgr/train/trainer.hpp>

namespace {

using namespace simgr;
using baselines::Letter;

Letter::Config small_letter() {
  return simgr_test::small_speller(baselines::letter_defaults.model);
}

}  // namespace

TEST_CASE("LETTER gives the gradient of every weight at its temperature") {
  using E = EncoderDecoder<SemanticEmbedding>;
  const E::Config encoder = simgr_test::tiny_speller<E>();
  for (const DigitSupport support : {DigitSupport::level, DigitSupport::whole}) {
    simgr_test::check_whole_model<E, EveryDigitOfLast, InnerProduct<DigitCodebooks>,
                                  DigitCrossEntropy>(
        {.encoder = encoder,
         .candidates = {.support = support},
         .loss = baselines::letter_defaults.model.loss});
  }
}

TEST_CASE("LETTER is TIGER and LC-Rec but for the temperature of training") {
  CHECK(baselines::letter_defaults.model.loss.temperature == 0.7);
  CHECK(baselines::letter_lc_rec_defaults.model.loss.temperature == 0.7);
  const auto of = [](auto defaults) {
    defaults.model.loss.temperature = 1;
    std::vector<std::string> values;
    for (const FieldText& field : list_fields(defaults.model)) { values.push_back(field.value); }
    for (const FieldText& field : list_fields(defaults.fit)) { values.push_back(field.value); }
    return values;
  };
  CHECK(of(baselines::letter_defaults) == of(baselines::tiger_defaults));
  CHECK(of(baselines::letter_lc_rec_defaults) == of(baselines::lc_rec_defaults));
}

TEST_CASE("LETTER's temperature changes what is learnt, and no list of given weights") {
  auto one = small_letter(), other = small_letter();
  other.loss.temperature = 1;
  Letter cool(simgr_test::forty_items(), one, 3), warm(simgr_test::forty_items(), other, 3);
  const std::vector<ItemId> history{7, 8, 9};
  const auto same = [&] {
    const auto a = cool.recommend(history, 10), b = warm.recommend(history, 10);
    REQUIRE(a.size() == b.size());
    bool equal = true;
    for (std::size_t i = 0; i < a.size(); ++i) {
      equal = equal && a[i].item == b[i].item && a[i].score == b[i].score;
    }
    return equal;
  };
  CHECK(same());
  const auto split = simgr_test::walks(40);
  cool.fit(split, {.epochs = 1, .batch = 16});
  warm.fit(split, {.epochs = 1, .batch = 16});
  CHECK_FALSE(same());
}

TEST_CASE("LETTER learns, is saved with its temperature, and spells new items") {
  Letter model(simgr_test::forty_items(), small_letter(), 3);
  simgr_test::check_learns(
      model, {.epochs = 40, .batch = 16, .evaluate_every = 20, .optimizer = {.rate = 5e-3}}, 0.5);
  simgr_test::check_saved_and_extended(model);
  const simgr_test::TemporaryFolder folder;
  model.save(folder.file("letter.simgr"));
  CHECK(Letter::load(folder.file("letter.simgr")).config().loss.temperature == 0.7);
}
