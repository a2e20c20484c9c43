// SPDX-License-Identifier: Apache-2.0
#include <support/given_states.hpp>
#include <support/gradient_check.hpp>

#include <simgr/encoder/transformer.hpp>
#include <simgr/loss/cross_entropy.hpp>
#include <simgr/pooler/positions.hpp>
#include <simgr/similarity/candidates.hpp>
#include <simgr/similarity/cross_attention.hpp>
#include <simgr/similarity/inner_product.hpp>
#include <simgr/similarity/scaled_cosine.hpp>

// Items with digits ac, bd, ad, bc. A model whose scores are sums over the digits, like one that
// predicts them apart, has  s(ac) + s(bd) = s(ad) + s(bc)  for every user.

using namespace simgr;

namespace {

const std::vector<std::int32_t> digits{0, 2, 1, 3, 0, 3, 1, 2};
const ItemsView<> four_items{4, {digits.data(), {4, 2}}};
constexpr CatalogueSizes sizes{4, 2, 4};
constexpr Index three_users = 3, width = 6;

double largest_interaction(Matrix<const double> scores) {
  double largest = 0;
  for (Index u = 0; u < scores.rows(); ++u) {
    largest =
        std::max(largest, std::abs(scores(u, 0) + scores(u, 1) - scores(u, 2) - scores(u, 3)));
  }
  return largest;
}

/// The largest interaction over three random users, with random weights throughout.
template <class S>
double interaction(typename S::Config similarity = {}) {
  using Model = Composition<simgr_test::GivenStates, EveryPosition, S, ItemCrossEntropy<>>;
  typename Model::Config config{.similarity = similarity};
  config.encoder = {width, three_users, {}, sizes};
  const ParameterTable table = describe<Model>(config);
  std::vector<double> weights = simgr_test::random_values(table.block_size, 1);
  const auto params = bind<Model>(config, weights.data());
  Arena arena;
  cpu::Context ctx{arena};
  typename Model::template Shared<double> shared;
  Model::prepare(config, params, four_items, {}, shared, ctx);
  typename S::template QueryCache<double> cache;
  const Matrix<const double> queries = S::queries(
      config.similarity, params.similarity, MatrixArg<double>(params.encoder.states), cache, ctx);
  const Matrix<double> scores = ctx.take<double>(three_users, 4);
  Model::scorer(config, params, params, shared, four_items, queries, Matrix<double>{},
                Matrix<double>{}, ctx)
      .tile(ctx, 0, three_users, scores);
  return largest_interaction(scores);
}

}  // namespace

TEST_CASE("the mean of digits under an inner product is additive") {
  CHECK(interaction<InnerProduct<PooledDigits<Mean>>>() < 1e-12);
  CHECK(interaction<InnerProduct<PooledDigits<Sum>>>() < 1e-12);
}
TEST_CASE("a gate that looks at one digit at a time is additive under an inner product too") {
  CHECK(interaction<InnerProduct<PooledDigits<DigitGate>>>() < 1e-12);
}
TEST_CASE("the cosine couples the digits") {
  CHECK(interaction<ScaledCosine<PooledDigits<Mean>>>({.temperature = 1}) > 1e-2);
  CHECK(interaction<ScaledCosine<PooledDigits<DigitGate>>>({.temperature = 1}) > 1e-2);
}
TEST_CASE("an MLP, attention and cross-attention over the digits couple them") {
  CHECK(interaction<InnerProduct<PooledDigits<MeanPlusMlp>>>() > 1e-2);
  CHECK(interaction<InnerProduct<PooledDigits<DigitAttention>>>() > 1e-2);
  CHECK(interaction<ScaledCosine<PooledDigits<CrossAttention>>>({.temperature = 1}) > 1e-2);
}

TEST_CASE("items read by the encoder are not additive") {
  using E = TransformerEncoder<SemanticEmbedding, Causal>;
  using Model = Composition<E, EveryPosition, InnerProduct<EncodedItems>, ItemCrossEntropy<>>;
  Model::Config config;
  config.encoder.width = width;
  config.encoder.layers = 1;
  config.encoder.max_length = 2;
  config.encoder.catalogue = sizes;
  const ParameterTable table = describe<Model>(config);
  std::vector<double> weights = simgr_test::random_values(table.block_size, 1);
  const auto params = bind<Model>(config, weights.data());
  Arena arena;
  cpu::Context ctx{arena};
  Model::Shared<double> shared;
  Model::prepare(config, params, four_items, {}, shared, ctx);
  Model::Cache<double> cache;
  const Matrix<double> keys = ctx.take<double>(4, width), scores = ctx.take<double>(three_users, 4);
  const std::vector<ItemId> all{0, 1, 2, 3};
  Model::encode_keys(config, params, shared.rows, four_items, std::span<const ItemId>(all), keys,
                     cache, ctx);
  const std::vector<double> queries = simgr_test::random_values(three_users * width, 2);
  gemm_nt(ctx, MatrixArg<double>(queries.data(), {three_users, width}), keys, scores,
          Write::assign);
  CHECK(largest_interaction(scores) > 1e-2);
}
