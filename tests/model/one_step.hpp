// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <support/tiny_encoder.hpp>
#include <support/whole_model.hpp>

#include <simgr/encoder/pooled_digit_embedding.hpp>
#include <simgr/encoder/transformer.hpp>
#include <simgr/loss/cross_entropy.hpp>
#include <simgr/pooler/positions.hpp>
#include <simgr/similarity/candidates.hpp>
#include <simgr/similarity/scaled_cosine.hpp>

// One training step of a toy SimGR in one scalar; each scalar has a translation unit of its own.

namespace simgr_test {

using SimGrEncoder = TransformerEncoder<PooledDigitEmbedding<MeanPlusMlp>, Causal>;
using ToySimGr = Composition<SimGrEncoder, EveryPosition, ScaledCosine<PooledDigits<MeanPlusMlp>>,
                             ItemCrossEntropy<>>;

/// The loss and the gradient of every weight in T, as doubles, from one set of weights.
template <class Model, class T>
std::vector<double> step(const typename Model::Config& config, const std::vector<double>& from) {
  const ToyWorld world;
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

}  // namespace simgr_test
