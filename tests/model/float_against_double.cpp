// SPDX-License-Identifier: Apache-2.0
#include <support/tiny_encoder.hpp>
#include <support/whole_model.hpp>

#include <simgr/encoder/pooled_digit_embedding.hpp>
#include <simgr/encoder/transformer.hpp>
#include <simgr/loss/cross_entropy.hpp>
#include <simgr/pooler/positions.hpp>
#include <simgr/similarity/candidates.hpp>
#include <simgr/similarity/scaled_cosine.hpp>

using namespace simgr;

namespace {

/// The loss and the gradient of every weight in T, as doubles, from one set of weights.
template <class Model, class T>
std::vector<double> step(const typename Model::Config& config, const std::vector<double>& from) {
  const simgr_test::ToyWorld world;
  std::vector<T> weights(from.begin(), from.end()), gradients(from.size());
  const auto params = bind<Model>(config, weights.data()),
             grads = bind<Model>(config, gradients.data());
  Arena arena;
  cpu::Context ctx{arena, true, 11, 2};
  typename Model::template Shared<T> shared;
  typename Model::template Cache<T> cache;
  Model::prepare(config, params, world.items(), {}, shared, ctx);
  const auto into = Model::shared_gradient(config, grads, ctx);
  const LossBatch batch = world.batch(Examples::every_position);
  const double loss = Model::shard(config, params, grads, shared, into, world.items(), batch,
                                   T(1) / static_cast<T>(batch.targets.size()), cache, ctx);
  Model::finish(config, params, grads, shared, into, world.items(), ctx);
  std::vector<double> found(gradients.begin(), gradients.end());
  found.push_back(loss);
  return found;
}

}  // namespace

TEST_CASE("a step in float is the step in double to a thousandth") {
  using E = TransformerEncoder<PooledDigitEmbedding<MeanPlusMlp>, Causal>;
  using Model =
      Composition<E, EveryPosition, ScaledCosine<PooledDigits<MeanPlusMlp>>, ItemCrossEntropy<>>;
  Model::Config config{.encoder = simgr_test::tiny<E>(), .similarity = {.temperature = 0.3}};
  config.encoder.catalogue = simgr_test::ToyWorld().sizes;
  const std::vector<double> weights =
      simgr_test::random_values(describe<Model>(config).block_size, 5, 0.4);
  const std::vector<double> exact = step<Model, double>(config, weights),
                            found = step<Model, float>(config, weights);
  double worst = 0, largest = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    worst = std::max(worst, std::abs(found[i] - exact[i]) / std::max(1.0, std::abs(exact[i])));
    largest = std::max(largest, std::abs(exact[i]));
  }
  CHECK(worst < 1e-3);
  CHECK(largest > 0.1);
}
