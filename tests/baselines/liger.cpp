// SPDX-License-Identifier: Apache-2.0
#include <simgr/baselines/liger.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>

#include <doctest/doctest.h>

#include <support/allocations.hpp>
#include <support/learnt_world.hpp>
#include <support/small_speller.hpp>
#include <support/whole_model.hpp>

#include <simgr/ranker/exact_token_scores.hpp>
#include <simgr/tokenizer/random_ids.hpp>

namespace {

using namespace simgr;
using baselines::Liger;
using baselines::LigerDense;

template <class Config>
Config small_liger(Config config) {
  config = simgr_test::small_speller(config);
  config.encoder.max_length = 6;
  config.encoder.embedding.dropout = 0;
  return config;
}

template <class Model>
Model toy_liger(Index width = 40) {
  auto config = small_liger(baselines::liger_defaults_of<Model>.model);
  if constexpr (requires { config.ranker.width; }) {
    config.ranker.width = width;
  }
  return Model(simgr_test::told(simgr_test::forty_items()), config, 3);
}

/// Histories of 1 to 8 items: some longer than is read.
Ragged<ItemId> told_histories(std::span<const Index> order) {
  Ragged<ItemId> histories;
  for (const Index user : order) {
    Rng rng(static_cast<std::uint64_t>(user), 5);
    std::vector<ItemId> history;
    for (Index t = 0; t <= user % 8; ++t) { history.push_back(static_cast<ItemId>(rng.below(40))); }
    histories.push_back(history);
  }
  return histories;
}

using Parts = Liger::Parts;
using LigerEncoder = Liger::EncoderType;

/// What a model computes from one history and one target: log p of the target's digits, and the cosine
/// of the end with every text.
struct ByDefinition {
  double log_p = 0;
  std::vector<double> cosines;

  ByDefinition(const Liger& model, std::span<const ItemId> history, ItemId target) {
    const auto& c = model.config();
    const auto read =
        history.last(std::min(history.size(), static_cast<std::size_t>(c.encoder.max_length)));
    Arena arena;
    cpu::Context ctx{arena};
    Parts::Shared<float> shared;
    Parts::prepare(c, model.params(), model.items_view(), {}, shared, ctx);
    const Index offsets[] = {0, static_cast<Index>(read.size())};
    LigerEncoder::Cache<float> cache;
    const Matrix<float> states = LigerEncoder::forward_targets(
        c.encoder, model.params().encoder, shared.rows, model.items_view(), {read, offsets},
        std::span<const ItemId>(&target, 1), cache, ctx);
    const auto& embedding = model.params().encoder.embedding;
    const auto dot = [](VectorArg<float> a, VectorArg<float> b) {
      return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
    };
    const Index digits = model.catalogue().ids.digits();
    for (Index l = 0; l < digits; ++l) {
      double all = 0;
      for (Index row = 0; row < embedding.table.rows(); ++row) {
        all += std::exp(dot(states.row(l), embedding.table.row(row)));
      }
      const Index own = model.items_view().digit_rows(target, l);
      log_p += dot(states.row(l), embedding.table.row(own)) - std::log(all);
    }
    const auto end = states.row(digits);
    for (Index item = 0; item < model.items(); ++item) {
      double product = 0, length = 0;
      for (Index j = 0; j < c.encoder.width; ++j) {
        const double projected =
            static_cast<double>(embedding.text.bias[j]) +
            dot(embedding.text.weight.row(j), model.items_view().text_vectors.row(item));
        product += projected * static_cast<double>(end[j]);
        length += projected * projected;
      }
      cosines.push_back(product / std::sqrt(length * dot(end, end)));
    }
  }
};

}  // namespace

TEST_CASE("LIGER gives the gradient of every weight, dropout included") {
  LigerEncoder::Config encoder = simgr_test::tiny_speller<LigerEncoder>();
  encoder.embedding = {.deviation = 1, .dropout = .3};
  simgr_test::ToyWorld with_unseen;
  with_unseen.unseen = {0, 4, 5};
  for (const simgr_test::ToyWorld& world : {simgr_test::ToyWorld{}, with_unseen}) {
    for (const DigitSupport support : {DigitSupport::level, DigitSupport::whole}) {
      simgr_test::check_whole_model<LigerEncoder, EveryDigitAndEnd,
                                    ProductAndCosine<DigitsAndTexts>, DigitAndItemCrossEntropy>(
          {.encoder = encoder,
           .similarity = {.temperature = .5, .support = support},
           .loss = {.item_weight = .7}},
          1e-7, world);
    }
  }
}

TEST_CASE("LIGER spells and compares what its encoder-decoder says of whole sequences") {
  const auto exact = [] {
    using Exact = with_ranker<Liger, ranker::ExactTokenScores>;
    Exact::Config config;
    config.encoder = toy_liger<Liger>().config().encoder;
    config.similarity.support = DigitSupport::whole;
    return Exact(simgr_test::told(simgr_test::forty_items()), config, 3);
  }();
  const auto model = toy_liger<Liger>();
  const auto dense = toy_liger<LigerDense>();
  const Index users[] = {0, 3, 7};
  const auto histories = told_histories(users);
  OwnedMatrix<float> log_p(3, 40);
  exact.score(histories, log_p.view());
  for (Index user = 0; user < 3; ++user) {
    std::vector<double> cosines;
    for (const ItemId target : {0, 17, 39}) {
      const ByDefinition expected(model, histories[user], target);
      CHECK(log_p.view()(user, target) == doctest::Approx(expected.log_p).epsilon(1e-4));
      cosines = expected.cosines;
    }
    const auto list = dense.recommend(histories[user], 40, {.seen = ranker::Seen::keep});
    REQUIRE(list.size() == 40);
    std::vector<ItemId> order(40);
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [&](ItemId a, ItemId b) {
      return cosines[static_cast<std::size_t>(a)] > cosines[static_cast<std::size_t>(b)];
    });
    for (std::size_t place = 0; place < 40; ++place) {
      CHECK(list[place].item == order[place]);
      CHECK(list[place].score ==
            doctest::Approx(cosines[static_cast<std::size_t>(order[place])] / .07).epsilon(1e-4));
    }
  }
}

TEST_CASE("LIGER's hybrid lists are the dense ones of its candidates, and no others") {
  const auto dense = toy_liger<LigerDense>();
  std::vector<ItemId> deny{3, 11, 14, 38}, allow(30);
  std::iota(allow.begin(), allow.end(), 4);
  const Index users[] = {0, 1, 5, 6, 13};
  const auto histories = told_histories(users);
  for (const ranker::Seen seen : {ranker::Seen::keep, ranker::Seen::zero, ranker::Seen::remove}) {
    for (const RecommendOptions& options :
         {RecommendOptions{.seen = seen},
          RecommendOptions{.seen = seen, .deny = deny, .allow = allow}}) {
      for (const Index width : {40, 4}) {
        const auto hybrid = toy_liger<Liger>(width);
        using Beam = with_ranker<Liger, ranker::TrieBeam>;
        const auto& c = hybrid.config();
        const Beam beam(hybrid.catalogue(),
                        {c.encoder, c.pooler, c.similarity, c.candidates, c.loss, c.ranker},
                        std::as_const(hybrid).weights());
        for (Index user = 0; user < 5; ++user) {
          const auto history = histories[user];
          auto expected = dense.recommend(history, 40, options);
          if (width < 40) {
            RecommendOptions spelt = options;
            spelt.seen = seen == ranker::Seen::keep ? seen : ranker::Seen::remove;
            const auto found = beam.recommend(history, width, spelt);
            REQUIRE(found.size() == 4);
            std::erase_if(expected, [&](const Recommended& one) {
              const bool met = std::find(history.begin(), history.end(), one.item) != history.end();
              return one.item % 7 != 0 && !(met && seen == ranker::Seen::zero) &&
                     std::none_of(found.begin(), found.end(),
                                  [&](const Recommended& other) { return other.item == one.item; });
            });
          }
          const auto list = hybrid.recommend(history, 40, options);
          REQUIRE(list.size() == expected.size());
          for (std::size_t place = 0; place < list.size(); ++place) {
            CHECK(list[place].item == expected[place].item);
            CHECK(list[place].score == expected[place].score);
          }
        }
      }
    }
  }
}

TEST_CASE_TEMPLATE("LIGER lists the same for any order of users, and allocates nothing", Model,
                   Liger, LigerDense) {
  const auto model = toy_liger<Model>(6);
  std::vector<Index> users(70);  // more than are decoded together
  std::iota(users.begin(), users.end(), Index{0});
  std::vector<Index> shuffled = users;
  Rng(3).shuffle(std::span(shuffled));
  const auto histories = told_histories(shuffled);
  std::vector<Recommended> list(70 * 5);
  std::vector<Index> found(70);
  model.recommend(histories, 5, {}, list, {found.data(), {70}});
  for (std::size_t at = 0; at < 70; ++at) {
    const auto alone = model.recommend(told_histories({&shuffled[at], 1})[0], 5);
    REQUIRE(static_cast<Index>(alone.size()) == found[at]);
    for (std::size_t place = 0; place < alone.size(); ++place) {
      CHECK(alone[place].item == list[at * 5 + place].item);
      CHECK(alone[place].score == doctest::Approx(list[at * 5 + place].score).epsilon(1e-5));
    }
  }
  std::vector<Recommended> own(5);
  for (int call = 0; call < 3; ++call) { model.recommend(histories[7], {}, own); }
  const auto before = simgr_test::allocations();
  CHECK(model.recommend(histories[7], {}, own) == 5);
  CHECK(simgr_test::allocations() == before);
}

TEST_CASE("LIGER learns, is saved, and ranks new items by their texts" *
          doctest::test_suite("heavy")) {
  // Places are learnt, and walks teach those of three items.
  auto config = small_liger(baselines::liger_defaults.model);
  config.encoder.max_length = 3;
  Liger model(simgr_test::told(simgr_test::forty_items()), config, 3);
  simgr_test::check_learns(
      model, {.epochs = 40, .batch = 16, .evaluate_every = 20, .optimizer = {.rate = 5e-3}}, 0.5);
  simgr_test::check_saved_and_extended(model);

  // The weights serve under both rankers.
  const simgr_test::TemporaryFolder folder;
  model.save(folder.file("m"));
  const auto dense = LigerDense::load(folder.file("m"));
  simgr_test::check_saved_and_extended(dense);
  const ItemId history[] = {7, 8, 9};
  const auto listed = model.recommend(history, 1), all = dense.recommend(history, 40);
  const auto same = std::find_if(all.begin(), all.end(), [&](const Recommended& one) {
    return one.item == listed.front().item;
  });
  REQUIRE(same != all.end());
  CHECK(same->score == listed.front().score);
}

TEST_CASE("LIGER says that it needs texts") {
  const auto sentence = [](const auto& action) {
    try {
      action();
    } catch (const Error& error) { return std::string(error.what()); }
    return std::string("nothing");
  };
  const auto contains = [](const std::string& text, const char* part) {
    INFO(text);
    CHECK(text.find(part) != std::string::npos);
  };
  const auto config = small_liger(baselines::liger_defaults.model);
  Catalogue untold = simgr_test::told(simgr_test::forty_items());
  untold.text_vectors = {};
  contains(sentence([&] { Liger(untold, config); }), "simgr::text::text_vectors(texts)");
  Catalogue odd = simgr_test::told(simgr_test::forty_items());
  odd.text_vectors.values[8 * 9 + 2] = NAN;
  contains(sentence([&] { Liger(odd, config); }), "item 9: found a number that is not finite");
  auto model = toy_liger<Liger>();
  contains(sentence([&] {
             model.add_items(
                 simgr_test::told(simgr_test::forty_items()).ids.codes.view().slice(0, 1));
           }),
           "expected text vectors [1, 8], found [0, 0]");
  CHECK(model.items() == 40);
}
