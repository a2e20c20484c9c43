// SPDX-License-Identifier: Apache-2.0
#include <simgr/tokenizer/letter_terms.hpp>

#include <cmath>

#include <doctest/doctest.h>
#include <support/gradient_check.hpp>

using simgr::Index;
using namespace simgr::tokenizer;

namespace {

double product_of(const std::vector<double>& a, Index i, const std::vector<double>& b, Index j,
                  Index width) {
  double sum = 0;
  for (Index k = 0; k < width; ++k) {
    sum += a[static_cast<std::size_t>(i * width + k)] * b[static_cast<std::size_t>(j * width + k)];
  }
  return sum;
}

}  // namespace

TEST_CASE("the collaborative term is a softmax over the batch, with its gradient") {
  constexpr Index rows = 7, width = 5;
  auto z = simgr_test::random_values(rows * width, 1);
  const auto v = simgr_test::random_values(rows * width, 2);
  std::vector<double> dz(z.size());
  simgr::Arena arena;
  const auto value = [&] {
    arena.reset();
    simgr::cpu::Context ctx{arena, true};
    std::fill(dz.begin(), dz.end(), 0.25);  // what is there already stays
    return collaborative_term<double>(ctx, {z.data(), {rows, width}}, {v.data(), {rows, width}},
                                      0.3, {dz.data(), {rows, width}});
  };
  double expected = 0;
  for (Index i = 0; i < rows; ++i) {
    double sum = 0;
    for (Index j = 0; j < rows; ++j) { sum += std::exp(product_of(z, i, v, j, width)); }
    expected += 0.3 / rows * (std::log(sum) - product_of(z, i, v, i, width));
  }
  CHECK(value() == doctest::Approx(expected).epsilon(1e-12));
  std::vector<double> claimed = dz;
  for (double& g : claimed) { g -= 0.25; }
  simgr_test::compare_with_differences({{"z", z, claimed}}, value, 1e-8);
}

TEST_CASE("the diversity term is the expected cross-entropy against a code of the same group") {
  constexpr Index codes = 7, width = 3;
  auto e = simgr_test::random_values(codes * width, 3);
  std::vector<double> de(e.size());
  // Code 6 is alone in its group, code 2 serves nobody.
  const std::vector<std::int32_t> groups{0, 1, 0, 1, 0, 1, 2};
  const std::vector<Index> uses{3, 1, 0, 2, 2, 1, 4};
  simgr::Arena arena;
  const auto value = [&] {
    arena.reset();
    simgr::cpu::Context ctx{arena, true};
    std::fill(de.begin(), de.end(), 0.5);
    return diversity_term<double>(ctx, {e.data(), {codes, width}}, groups, uses, 0.7,
                                  {de.data(), {codes, width}});
  };
  double expected = 0;
  for (Index c = 0; c < 6; ++c) {
    double sum = 0, mates = 0, each = 0;
    for (Index j = 0; j < codes; ++j) {
      sum += j == c ? 0 : std::exp(product_of(e, c, e, j, width));
    }
    for (Index k = 0; k < codes; ++k) {
      if (k != c && groups[static_cast<std::size_t>(k)] == groups[static_cast<std::size_t>(c)]) {
        each += std::log(sum) - product_of(e, c, e, k, width);
        ++mates;
      }
    }
    expected += 0.7 * static_cast<double>(uses[static_cast<std::size_t>(c)]) / 13 * each / mates;
  }
  CHECK(value() == doctest::Approx(expected).epsilon(1e-12));
  std::vector<double> claimed = de;
  for (double& g : claimed) { g -= 0.5; }
  simgr_test::compare_with_differences({{"codebook", e, claimed}}, value, 1e-8);
}

namespace {

/// One batch of four items on two levels of four codes.
struct BatchOfFour {
  RqVae::Config shape{.in = 3, .latent = 2, .levels = 2, .codes = 4};
  std::vector<float> weights, gradients;
  RqVae::Params<float> params, grads;
  RqVae::Cache<float> cache;
  simgr::OwnedMatrix<float> quantised{4, 2}, dquantised{4, 2};
  simgr::OwnedMatrix<std::int32_t> codes{4, 2};
  std::vector<simgr::ItemId> items{2, 0, 3, 1};

  BatchOfFour() {
    const auto table = simgr::describe<RqVae>(shape);
    weights.resize(static_cast<std::size_t>(table.block_size));
    simgr::initialise<float>(table, weights, 5);
    gradients.resize(weights.size());
    params = simgr::bind<RqVae>(shape, weights.data());
    grads = simgr::bind<RqVae>(shape, gradients.data());
    for (Index i = 0; i < 8; ++i) {
      codes.values[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(i % 3);
      quantised.values[static_cast<std::size_t>(i)] = static_cast<float>(i % 5) - 2;
    }
    cache.codes = codes.view();
    cache.quantised = quantised.view();
  }
  double of(LetterTerms terms) {
    simgr::Arena arena;
    simgr::cpu::Context ctx{arena, true};
    terms.begin_epoch(1, params);
    return terms(ctx, RqVaeBatch{items, {}, shape, params, grads, cache, dquantised.view()});
  }
};

}  // namespace

TEST_CASE("items without a collaborative vector take no part in its term") {
  simgr::OwnedMatrix<float> all(4, 2), some(4, 2);
  all.values = {1, 2, -1, 1, 2, 0, 1, -1};
  some.values = all.values;
  some.values[6] = some.values[7] = 0;  // item 3, the third row of the batch
  BatchOfFour batch, without;
  const double whole = batch.of({all, 0.5, 0, 10, 1});
  const double value = without.of({some, 0.5, 0, 10, 1});
  CHECK(value != doctest::Approx(whole));
  CHECK(batch.dquantised.values[4] != 0);
  CHECK(without.dquantised.values[4] == 0);
  CHECK(without.dquantised.values[5] == 0);
  // As if the batch had the other three alone, each with the vector of its item.
  const Index rows[] = {0, 1, 3}, of_item[] = {2, 0, 1};
  double expected = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    double sum = 0, own = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      double s = 0;
      for (Index k = 0; k < 2; ++k) {
        s += static_cast<double>(without.quantised.view()(rows[i], k)) *
             static_cast<double>(all.view()(of_item[j], k));
      }
      sum += std::exp(s);
      own = i == j ? s : own;
    }
    expected += 0.5 / 3 * (std::log(sum) - own);
  }
  CHECK(value == doctest::Approx(expected).epsilon(1e-5));
  for (const float g : without.gradients) { CHECK(g == 0); }
}

TEST_CASE("the terms add up, each with its weight, and diversity is a mean over levels") {
  simgr::OwnedMatrix<float> v(4, 2);
  v.values = {1, 2, -1, 1, 2, 0, 1, -1};
  BatchOfFour batch;
  const double one = batch.of({v, 0.5, 0, 2, 1}), other = batch.of({v, 0, 0.25, 2, 1}),
               both = batch.of({v, 0.5, 0.25, 2, 1});
  CHECK(one > 0);
  CHECK(other != 0);
  CHECK(both == doctest::Approx(one + other).epsilon(1e-6));
  CHECK(batch.of({v, 0, 0, 2, 1}) == 0);
  double levels = 0;
  simgr::Arena arena;
  simgr::cpu::Context ctx{arena, true};
  for (std::size_t l = 0; l < 2; ++l) {
    const auto groups =
        balanced_kmeans(batch.params.codebooks[l],
                        {.codes = 2, .iterations = 10, .seed = 1, .stream = 2 + l}, 2)
            .labels;
    std::vector<Index> uses(4);
    for (Index row = 0; row < 4; ++row) {
      ++uses[static_cast<std::size_t>(batch.codes.view()(row, static_cast<Index>(l)))];
    }
    levels += diversity_term<float>(ctx, batch.params.codebooks[l], groups, uses, 0.125f,
                                    batch.grads.codebooks[l]);
  }
  CHECK(other == doctest::Approx(levels).epsilon(1e-6));
}
