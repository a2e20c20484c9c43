// SPDX-License-Identifier: Apache-2.0
#include <simgr/tokenizer/fit_letter.hpp>

#include <cmath>

#include <doctest/doctest.h>

using simgr::Index;
using namespace simgr::tokenizer;

namespace {

constexpr Index shop_items = 360, themes = 6, baskets = 6;
Index theme_of(Index item) {
  return item % themes;
}
Index basket_of(Index item) {
  return item / themes % baskets;
}

/// What items say is mostly their theme, and a little their basket.
simgr::OwnedMatrix<float> texts_of_shop() {
  simgr::OwnedMatrix<float> x(shop_items, 14);
  for (Index item = 0; item < shop_items; ++item) {
    simgr::Rng theme(1, static_cast<std::uint64_t>(theme_of(item))),
        basket(2, static_cast<std::uint64_t>(basket_of(item))),
        own(3, static_cast<std::uint64_t>(item));
    for (Index k = 0; k < 14; ++k) {
      x.view()(item, k) =
          static_cast<float>((k < 11 ? theme.normal() : basket.normal()) + 0.2 * own.normal());
    }
  }
  return x;
}

/// Vectors of who is bought together: near those of the same basket.
/// @param shuffled  of a basket that is drawn: the control
simgr::OwnedMatrix<float> baskets_of_shop(Index latent, bool shuffled = false) {
  simgr::OwnedMatrix<float> v(shop_items, latent);
  simgr::Rng draw(9);
  for (Index item = 0; item < shop_items; ++item) {
    const Index of = shuffled ? draw.below(baskets) : basket_of(item);
    simgr::Rng basket(4, static_cast<std::uint64_t>(of)), own(5, static_cast<std::uint64_t>(item));
    for (Index k = 0; k < latent; ++k) {
      v.view()(item, k) = static_cast<float>(1.5 * basket.normal() + 0.1 * own.normal());
    }
  }
  return v;
}

LetterConfig small_letter_config() {
  LetterConfig config;
  config.rq_vae = {.levels = 2,
                   .codes = 12,
                   .hidden = 24,
                   .layers = 1,
                   .latent = 6,
                   .beta = 0.5,
                   .epochs = 40,
                   .batch = 120,
                   .rate = 5e-3,
                   .warmup_epochs = 2,
                   .kmeans_iterations = 5,
                   .sinkhorn_levels = 0,
                   .restart_every = 5,
                   .measure_every = 10};
  config.groups = 3;
  config.diversity = 0;
  return config;
}

/// How many pairs of items of different themes have one first digit.
struct SharedDigits {
  double same_basket = 0, other_basket = 0;
};
SharedDigits shared_digits(const simgr::SemanticIds& ids) {
  const auto codes = ids.codes.view();
  double pairs[2]{}, equal[2]{};
  for (Index a = 0; a < shop_items; ++a) {
    for (Index b = 0; b < a; ++b) {
      if (theme_of(a) != theme_of(b)) {
        const int kind = basket_of(a) == basket_of(b) ? 1 : 0;
        pairs[kind] += 1;
        equal[kind] += codes(a, 0) == codes(b, 0) ? 1 : 0;
      }
    }
  }
  return {equal[1] / pairs[1], equal[0] / pairs[0]};
}

}  // namespace

TEST_CASE("the collaborative term gives nearer codes to what is bought together") {
  const auto texts = texts_of_shop();
  LetterConfig config = small_letter_config();
  config.collaborative = 0;
  const auto plain = shared_digits(fit_letter(texts, baskets_of_shop(6), config).ids);
  config.collaborative = 1;
  const auto letter = shared_digits(fit_letter(texts, baskets_of_shop(6), config).ids);
  const auto control = shared_digits(fit_letter(texts, baskets_of_shop(6, true), config).ids);
  CAPTURE(letter.same_basket);
  CAPTURE(letter.other_basket);
  CAPTURE(control.same_basket);
  CHECK(plain.same_basket < 0.05);  // texts are about themes
  CHECK(letter.same_basket > 0.25);
  CHECK(letter.same_basket > 4 * letter.other_basket);
  CHECK(control.same_basket < 1.5 * control.other_basket);
}

TEST_CASE("the diversity term draws the codes of a group together and pushes groups apart") {
  const auto texts = texts_of_shop();
  LetterConfig config = small_letter_config();
  config.collaborative = 0;
  const auto loss_of = [&](const FittedRqVae& found) {
    double sum = 0;
    simgr::Arena arena;
    simgr::cpu::Context ctx{arena};
    for (Index level = 0; level < 2; ++level) {
      const auto& codebook = found.tokenizer.quantizer.codebooks[static_cast<std::size_t>(level)];
      std::vector<Index> uses(12);
      for (Index item = 0; item < shop_items; ++item) {
        ++uses[static_cast<std::size_t>(found.ids.codes.view()(item, level))];
      }
      simgr::OwnedMatrix<float> unused(12, 6);
      const auto groups = balanced_kmeans(codebook, {.codes = 3}, 2).labels;
      sum += diversity_term<float>(ctx, codebook, groups, uses, 1.0f, unused.view());
    }
    return sum;
  };
  const double without = loss_of(fit_letter(texts, baskets_of_shop(6), config));
  config.diversity = 0.5;
  const double with = loss_of(fit_letter(texts, baskets_of_shop(6), config));
  CHECK(with < 0.9 * without);
}

TEST_CASE("without its terms LETTER is the RQ-VAE, and with them a function of its config") {
  const auto texts = texts_of_shop(), baskets_of = baskets_of_shop(6);
  LetterConfig config = small_letter_config();
  config.rq_vae.epochs = 5;
  config.collaborative = 0;
  CHECK(fit_letter(texts, baskets_of, config).tokenizer.weights ==
        fit_rq_vae(texts, config.rq_vae).tokenizer.weights);
  CHECK(fit_letter(texts, {}, config).tokenizer.weights ==
        fit_letter(texts, baskets_of, config).tokenizer.weights);
  config.collaborative = 0.02;
  config.diversity = 1e-4;
  const auto one = fit_letter(texts, baskets_of, config);
  CHECK(one.tokenizer.weights == fit_letter(texts, baskets_of, config).tokenizer.weights);
  config.rq_vae.seed = 2;
  CHECK(one.tokenizer.weights != fit_letter(texts, baskets_of, config).tokenizer.weights);
}

TEST_CASE("LETTER refuses collaborative vectors that do not fit, with a sentence") {
  const auto texts = texts_of_shop();
  LetterConfig config = small_letter_config();
  config.rq_vae.epochs = 1;
  CHECK_THROWS_WITH_AS(fit_letter(texts, simgr::OwnedMatrix<float>(359, 6), config),
                       "collaborative vectors: expected [items, latent] = [360, 6], found [359, 6]",
                       simgr::ShapeError);
  CHECK_THROWS_WITH_AS(fit_letter(texts, baskets_of_shop(7), config),
                       doctest::Contains("[360, 6], found [360, 7]"), simgr::ShapeError);
  CHECK_THROWS_WITH_AS(fit_letter(texts, {}, config), doctest::Contains("[360, 6], found [0, 0]"),
                       simgr::ShapeError);
  auto broken = baskets_of_shop(6);
  broken.view()(4, 2) = std::nanf("");
  CHECK_THROWS_WITH_AS(
      fit_letter(texts, broken, config),
      doctest::Contains("collaborative vectors: row 4, column 2: expected a finite"),
      simgr::DataError);
  config.diversity = 1e-4;
  config.rq_vae.codebooks = CodebookUpdate::moving_average;
  CHECK_THROWS_WITH_AS(fit_letter(texts, baskets_of_shop(6), config),
                       doctest::Contains("moving averages follow no gradient"), simgr::ConfigError);
  config.rq_vae.codebooks = CodebookUpdate::gradient;
  config.groups = 0;
  CHECK_THROWS_WITH_AS(fit_letter(texts, baskets_of_shop(6), config), doctest::Contains("groups"),
                       simgr::ConfigError);
  config.groups = 10;
  config.rq_vae.codes = 1;
  CHECK_THROWS_AS(fit_letter(texts, baskets_of_shop(6), config), simgr::ConfigError);
  config.rq_vae.codes = 2;  // one group of two
  CHECK(fit_letter(texts, baskets_of_shop(6), config).ids.items() == shop_items);
}
