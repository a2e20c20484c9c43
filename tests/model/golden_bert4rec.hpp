// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <encoder/golden_sasrec.hpp>

#include <simgr/encoder/cloze_encoder.hpp>
#include <simgr/pooler/hidden_items.hpp>
#include <simgr/similarity/product_and_bias.hpp>

namespace simgr_test {

inline std::vector<std::string> stored_in_bert4rec(const std::string& name) {
  const std::string tail = name.substr(name.rfind('.'));
  if (name.starts_with("pooler.head_norm")) {
    return {"head.norm" + tail};
  }
  if (name.starts_with("pooler.head")) {
    return {"head.dense" + tail};
  }
  if (name == "candidates.bias") {
    return {"head.bias"};
  }
  return name.starts_with("encoder.embedding_norm") ? std::vector{"norm" + tail}
                                                    : stored_in_model(name);
}

template <class T>
void check_bert4rec(GoldenCase& golden) {
  using Stack = TransformerEncoder<MaskedItemEmbedding, Bidirectional, PostNorm, GeluErf>;
  using Similarity = ProductAndBias<TiedItemsAndBias>;
  using Model = Composition<ClozeEncoder<Stack>, HiddenItemsHead, Similarity, ItemCrossEntropy<>>;
  Bench bench;
  typename Model::Config config;
  config.encoder.width = golden.integer("width");
  config.encoder.layers = golden.integer("layers");
  config.encoder.heads = golden.integer("heads");
  config.encoder.max_length = golden.integer("max_length") - 1;  // ours does not count the mask
  config.encoder.dropout = config.encoder.attention_dropout = 0;
  config.encoder.epsilon = 1e-12;
  config.encoder.catalogue.items = golden.integer("items");
  REQUIRE(golden.integer("mask_id") == config.encoder.catalogue.items);
  GoldenParameters<Model, T> p(config);
  p.load(golden, stored_in_bert4rec);

  const Padding padding(golden, "input.input_ids");
  const std::vector<ItemId> history = padding.pack(golden.tensor<ItemId>("input.input_ids"));
  std::vector<ItemId> targets;
  for (const ItemId target : padding.pack(golden.tensor<ItemId>("input.targets"))) {
    if (target >= 0) {
      targets.push_back(target);
    }
  }
  const ItemsView<> items{config.encoder.catalogue.items, {}};
  const LossBatch batch{targets, {history, padding.offsets}, {}, {}, {}};
  typename Model::template Shared<T> shared;
  typename Model::template Cache<T> cache;
  Model::prepare(config, p.params, items, {}, shared, bench.ctx);
  const auto gradient = Model::shared_gradient(config, p.grads, bench.ctx);
  const double loss = Model::shard(config, p.params, p.grads, shared, gradient, items, batch,
                                   T(1) / static_cast<T>(targets.size()), cache, bench.ctx);
  Model::finish(config, p.params, p.grads, shared, gradient, items, bench.ctx);
  meets_loss<T>(golden, loss);
  p.compare(golden, stored_in_bert4rec);

  const Matrix<T> states = Stack::forward(config.encoder, p.params.encoder, shared.rows, items,
                                          batch.history, cache.encoder.inner, bench.ctx);
  meets(golden, "output.states", padding.unpack(std::span<const T>(states.span())));
  const Matrix<T> mapped = HiddenItemsHead::of_positions(config.pooler_shape(), p.params.pooler,
                                                         states, cache.pooler, bench.ctx);
  const Matrix<const T> queries =
      Similarity::queries(config.similarity, p.params.similarity, mapped, cache.queries, bench.ctx);
  const Matrix<T> scores = bench.ctx.take<T>(padding.tokens(), items.items);
  gemm_nt(bench.ctx, queries, shared.keys, scores, Write::assign);
  meets(golden, "output.scores", padding.unpack(std::span<const T>(scores.span())));
}

}  // namespace simgr_test
