// SPDX-License-Identifier: Apache-2.0
#include <simgr/recommender.hpp>

#include <cmath>
#include <numeric>
#include <vector>

#include <doctest/doctest.h>

#include <simgr/baselines/simgr.hpp>

// The bank of keys that serves is what the composition computes for an item there and then, and an
// item more changes no other. What has no keys is in cross_attention.cpp.

namespace {

using simgr::Index;
using simgr::ItemId;
using simgr::Matrix;

template <class Model>
Model banked_model() {
  constexpr Index items = 300;  // more than are encoded at a time
  simgr::Catalogue catalogue{.items = items};
  catalogue.ids.codes = simgr::OwnedMatrix<std::int32_t>(items, 3);
  catalogue.ids.codes_per_digit = {6, 10, 5};
  for (Index i = 0; i < items; ++i) {
    catalogue.ids.codes.view()(i, 0) = static_cast<std::int32_t>(i % 6);
    catalogue.ids.codes.view()(i, 1) = static_cast<std::int32_t>(i / 6 % 10);
    catalogue.ids.codes.view()(i, 2) = static_cast<std::int32_t>(i / 60);
  }
  typename Model::Config config;
  config.encoder.width = 12;
  config.encoder.layers = 1;
  config.encoder.max_length = 5;
  config.encoder.deviation = config.encoder.embedding.deviation = 0.5;
  return Model(std::move(catalogue), config, 4);
}

/// The key of one item, from the weights alone.
template <class Model>
std::vector<float> key_of(const Model& model, ItemId item) {
  using Parts = typename Model::Parts;
  simgr::Arena arena;
  simgr::cpu::Context ctx{arena};
  typename Parts::template Shared<float> shared;
  if constexpr (Parts::encodes_items) {
    Parts::prepare(model.config(), model.params(), model.items_view(), {}, shared, ctx);
    typename Parts::template Cache<float> cache;
    const Matrix<float> key = ctx.template take<float>(1, model.query_width());
    Parts::encode_keys(model.config(), model.params(), shared.rows, model.items_view(),
                       std::span<const ItemId>(&item, 1), key, cache, ctx);
    return {key.begin(), key.end()};
  } else {
    auto config = model.config();
    config.encoder.catalogue.items = 1;
    const simgr::ItemsView<> alone{1, model.items_view().digit_rows.slice(item, 1)};
    Parts::prepare(config, model.params(), alone, {}, shared, ctx);
    return {shared.keys.begin(), shared.keys.end()};
  }
}

}  // namespace

TEST_CASE_TEMPLATE("the bank that serves holds what the encoder gives for each item alone", Model,
                   simgr::baselines::SimGrMean, simgr::baselines::SimGr,
                   simgr::baselines::SimGrEncoded) {
  const Model model = banked_model<Model>();
  double apart = 0, length = 0;
  for (ItemId item = 0; item < model.items(); ++item) {
    const std::vector<float> key = key_of(model, item);
    for (Index j = 0; j < model.query_width(); ++j) {
      const double banked = model.keys()(item, j);
      apart = std::max(apart, std::abs(key[static_cast<std::size_t>(j)] - banked));
      length += banked * banked;
    }
  }
  CHECK(apart < 1e-5);
  CHECK(length == doctest::Approx(300).epsilon(1e-4));  // all of length 1
}

TEST_CASE_TEMPLATE("an item more changes no row of the bank, to the bit", Model,
                   simgr::baselines::SimGrMean, simgr::baselines::SimGr,
                   simgr::baselines::SimGrEncoded) {
  Model model = banked_model<Model>();
  const std::vector<float> before(model.keys().begin(), model.keys().end());
  simgr::OwnedMatrix<std::int32_t> codes(1, 3);
  codes.values = {5, 0, 4};
  model.add_items(codes);
  REQUIRE(model.items() == 301);
  CHECK(std::equal(before.begin(), before.end(), model.keys().begin()));
  const std::vector<float> key = key_of(model, 300);
  for (Index j = 0; j < model.query_width(); ++j) {
    CHECK(key[static_cast<std::size_t>(j)] == doctest::Approx(model.keys()(300, j)).epsilon(1e-4));
  }
}
