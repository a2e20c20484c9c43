// SPDX-License-Identifier: Apache-2.0
#include <simgr/tokenizer/fit_plum.hpp>

#include <cmath>

#include <doctest/doctest.h>

using simgr::Index;
using simgr::ItemId;
using namespace simgr::tokenizer;

namespace {

constexpr Index stall_items = 300, topics = 6, circles = 5;
Index circle_of(Index item) {
  return item / topics % circles;
}

/// What items say is mostly their topic, and a little their circle.
simgr::OwnedMatrix<float> texts_of_stall() {
  simgr::OwnedMatrix<float> x(stall_items, 14);
  for (Index item = 0; item < stall_items; ++item) {
    simgr::Rng topic(1, static_cast<std::uint64_t>(item % topics)),
        circle(2, static_cast<std::uint64_t>(circle_of(item))),
        own(3, static_cast<std::uint64_t>(item));
    for (Index k = 0; k < 14; ++k) {
      x.view()(item, k) =
          static_cast<float>((k < 11 ? topic.normal() : circle.normal()) + 0.2 * own.normal());
    }
  }
  return x;
}

/// Items of the same circle, or drawn ones: the control.
simgr::Ragged<ItemId> circles_of_stall(bool drawn = false) {
  simgr::Ragged<ItemId> lists;
  simgr::Rng rng(9);
  for (Index item = 0; item < stall_items; ++item) {
    std::vector<ItemId> list;
    while (std::ssize(list) < 7) {
      const Index other = rng.below(stall_items);
      if (other != item && (drawn || circle_of(other) == circle_of(item))) {
        list.push_back(static_cast<ItemId>(other));
      }
    }
    lists.push_back(list);
  }
  return lists;
}

PlumConfig small_plum() {
  PlumConfig config;
  config.rq_vae.codes = 12;
  config.rq_vae.levels = 2;
  config.rq_vae.hidden = 24;
  config.rq_vae.latent = 6;
  config.rq_vae.epochs = 40;
  config.rq_vae.batch = 100;
  config.rq_vae.rate = 5e-3;
  config.pairs = 50;
  config.contrastive = 1;
  return config;
}

/// Of pairs of items of different topics, the share that have one first digit: within circles and not.
struct SharedFirst {
  double same_circle = 0, other_circle = 0;
};
SharedFirst shared_first(const simgr::SemanticIds& ids) {
  double pairs[2]{}, equal[2]{};
  for (Index a = 0; a < stall_items; ++a) {
    for (Index b = 0; b < a; ++b) {
      if (a % topics != b % topics) {
        const int kind = circle_of(a) == circle_of(b) ? 1 : 0;
        pairs[kind] += 1;
        equal[kind] += ids.codes.view()(a, 0) == ids.codes.view()(b, 0) ? 1 : 0;
      }
    }
  }
  return {equal[1] / pairs[1], equal[0] / pairs[0]};
}

}  // namespace

TEST_CASE("PLUM's term brings the ids of neighbours together, and those of drawn items not") {
  const auto texts = texts_of_stall();
  PlumConfig config = small_plum();
  const auto with = shared_first(fit_plum(texts, circles_of_stall(), config).ids);
  const auto control = shared_first(fit_plum(texts, circles_of_stall(true), config).ids);
  config.contrastive = 0;
  const auto without = shared_first(fit_plum(texts, {}, config).ids);
  CAPTURE(with.same_circle);
  CAPTURE(with.other_circle);
  CAPTURE(control.same_circle);
  CAPTURE(without.same_circle);
  CHECK(with.same_circle > 2 * without.same_circle + 0.05);
  CHECK(with.same_circle > 3 * with.other_circle);
  CHECK(control.same_circle < 0.5 * with.same_circle);
}

TEST_CASE("without its term PLUM is the RQ-VAE, and with it a function of its config") {
  const auto texts = texts_of_stall();
  const auto neighbours = circles_of_stall();
  PlumConfig config = small_plum();
  config.rq_vae.epochs = 4;
  config.contrastive = 0;
  CHECK(fit_plum(texts, {}, config).tokenizer.weights ==
        fit_rq_vae(texts, config.rq_vae).tokenizer.weights);
  config.contrastive = 0.1;
  const auto one = fit_plum(texts, neighbours, config);
  CHECK(one.ids.codes_per_digit == std::vector<Index>{12, 6});
  CHECK(one.tokenizer.weights == fit_plum(texts, neighbours, config).tokenizer.weights);
  CHECK(one.tokenizer.weights != fit_rq_vae(texts, config.rq_vae).tokenizer.weights);
  config.rq_vae.seed = 2;
  CHECK(one.tokenizer.weights != fit_plum(texts, neighbours, config).tokenizer.weights);
}

TEST_CASE("the defaults are three levels of 1024, 512 and 256 codes") {
  const auto texts = texts_of_stall();
  PlumConfig config;
  config.rq_vae.epochs = 1;
  config.rq_vae.least_usage = 0;
  CHECK(fit_plum(texts, circles_of_stall(), config).ids.codes_per_digit ==
        std::vector<Index>{1024, 512, 256});
}

TEST_CASE("PLUM refuses neighbours that do not fit, with a sentence") {
  const auto texts = texts_of_stall();
  PlumConfig config = small_plum();
  config.rq_vae.epochs = 1;
  CHECK_THROWS_WITH_AS(fit_plum(texts, {}, config),
                       "neighbours: expected those of 300 items, found those of 0",
                       simgr::ShapeError);
  simgr::Ragged<ItemId> none;
  for (Index item = 0; item < stall_items; ++item) { none.push_back({}); }
  CHECK_THROWS_WITH_AS(fit_plum(texts, none, config), doctest::Contains("no item has one"),
                       simgr::DataError);
  for (const ItemId wrong : {ItemId{300}, ItemId{-1}, ItemId{2}}) {
    auto lists = circles_of_stall();
    lists.values[16] = wrong;  // of item 2
    CHECK_THROWS_WITH_AS(
        fit_plum(texts, lists, config),
        doctest::Contains(("neighbours: item 2 lists " + std::to_string(wrong)).c_str()),
        simgr::DataError);
  }
  config.pairs = 1;
  CHECK_THROWS_WITH_AS(fit_plum(texts, circles_of_stall(), config), doctest::Contains("pairs"),
                       simgr::ConfigError);
  config.pairs = 50;
  config.rq_vae.shrink = 0;
  CHECK_THROWS_WITH_AS(fit_plum(texts, circles_of_stall(), config), doctest::Contains("shrink"),
                       simgr::ConfigError);
}
