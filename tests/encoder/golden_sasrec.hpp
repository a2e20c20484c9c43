// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include <support/golden_compare.hpp>

#include <simgr/composition.hpp>
#include <simgr/encoder/item_embedding.hpp>
#include <simgr/encoder/transformer.hpp>
#include <simgr/loss/cross_entropy.hpp>
#include <simgr/loss/pairwise.hpp>
#include <simgr/pooler/positions.hpp>
#include <simgr/similarity/candidates.hpp>
#include <simgr/similarity/inner_product.hpp>

// The family sasrec/: blocks alone, and whole models through a Composition. One scalar for each
// translation unit and kind of block.

namespace simgr_test {

using namespace simgr;

/// Ours → theirs, within a block.
inline std::vector<std::string> stored_in_block(const std::string& name) {
  const auto ends = [&](const char* tail) { return name.ends_with(tail); };
  const std::string tail = name.substr(name.rfind('.'));
  if (name.starts_with("attention.qkv")) {
    return {"q" + tail, "k" + tail, "v" + tail};
  }
  if (name.starts_with("attention.out")) {
    return {"out" + tail};
  }
  if (name.starts_with("up")) {
    return {"ffn1" + tail};
  }
  if (name.starts_with("down")) {
    return {"ffn2" + tail};
  }
  return {ends(".weight") || ends(".bias") ? name : std::string()};
}
inline std::vector<std::string> stored_in_model(const std::string& name) {
  const std::string own = name.substr(std::string("encoder.").size());
  if (own.starts_with("blocks.")) {
    const std::size_t dot = own.find('.', std::string("blocks.").size()) + 1;
    std::vector<std::string> parts = stored_in_block(own.substr(dot));
    for (std::string& part : parts) { part.insert(0, own.substr(0, dot)); }
    return parts;
  }
  if (own == "position") {
    return {"position.weight"};
  }
  if (own.find("norm.") != own.npos) {
    return {"last_norm" + own.substr(own.rfind('.'))};
  }
  return {"item.weight"};
}

/// One given negative for each position, in order. A negative that its user knows is refused a
/// hundred times and then stands.
struct GivenNegative {
  static constexpr Index per_row = 1;
  static inline std::vector<ItemId> items;
  static inline std::size_t row = 0;
  static inline int refusals = 0;

  static Index draw(Rng&, Index, const LossBatch& batch) {
    const ItemId item = items[row];
    const Index sequence = batch.sequence_of(static_cast<Index>(row));
    const auto first =
        static_cast<std::size_t>(batch.history.offsets[static_cast<std::size_t>(sequence)]);
    const std::span<const ItemId> seen = batch.history[sequence],
                                  own = batch.targets.subspan(first, seen.size());
    const bool refused = std::find(seen.begin(), seen.end(), item) != seen.end() ||
                         std::find(own.begin(), own.end(), item) != own.end();
    if (!refused || ++refusals == 100) {
      ++row;
      refusals = 0;
    }
    return item;
  }
};

template <class T, class Placement, class F>
struct SasRecKind {
  using Block = TransformerBlock<Causal, Placement, F>;
  using E = TransformerEncoder<ItemEmbedding, Causal, Placement, F>;

  static void check_block(GoldenCase& golden, const Padding& padding, const std::string& first) {
    Bench bench;
    const typename Block::Config config{.width = golden.integer("width"),
                                        .heads = golden.integer("heads"),
                                        .inner = golden.shape("param." + first + "ffn1.weight")[0],
                                        .epsilon = golden.text("kind") == "bert" ? 1e-12 : 1e-8,
                                        .projected = golden.has("param." + first + "out.weight")};
    GoldenParameters<Block, T> p(config);
    p.load(golden, stored_in_block);
    const auto packed = [&](const char* name) { return padding.pack(golden.tensor<T>(name)); };
    const std::vector<T> x = packed("input.x"), dy = packed("input.upstream");
    const Shape<2> shape{padding.tokens(), config.width};
    typename Block::template Cache<T> cache;
    const Matrix<T> y = Block::forward(config, p.params, MatrixArg<T>(x.data(), shape),
                                       padding.offsets, cache, bench.ctx);
    const auto padded = [&](Matrix<T> m) { return padding.unpack(std::span<const T>(m.span())); };
    meets(golden, "output.y", padded(y));
    const Matrix<T> dx = Block::backward(config, p.params, p.grads, MatrixArg<T>(dy.data(), shape),
                                         padding.offsets, cache, bench.ctx);
    meets(golden, "grad.x", padded(dx));
    p.compare(golden, stored_in_block);
    meets_loss<T>(golden, dot<T>(y.span(), dy));
  }

  template <class L>
  static void check_model(GoldenCase& golden, const Padding& padding) {
    using Model = Composition<E, EveryPosition, InnerProduct<TiedItems>, L>;
    Bench bench;
    const std::string first = "param.blocks.0.";
    typename Model::Config config;
    config.encoder.width = golden.integer("width");
    config.encoder.layers = golden.integer("layers");
    config.encoder.heads = golden.integer("heads");
    config.encoder.inner = golden.shape(first + "ffn1.weight")[0];
    config.encoder.max_length = golden.integer("max_length");
    config.encoder.dropout = config.encoder.attention_dropout = 0;
    const bool bert = golden.text("kind") == "bert";
    config.encoder.epsilon = bert ? 1e-12 : 1e-8;
    config.encoder.scale_embedding = config.encoder.final_norm = !bert;
    config.encoder.embedding_norm = bert;
    config.encoder.projected = golden.has(first + "out.weight");
    config.encoder.catalogue.items = golden.integer("items");
    GoldenParameters<Model, T> p(config);
    p.load(golden, stored_in_model);

    const std::vector<ItemId> history = padding.pack(golden.tensor<ItemId>("input.input_ids")),
                              targets = padding.pack(golden.tensor<ItemId>("input.targets"));
    if (golden.has("input.negatives")) {
      GivenNegative::items = padding.pack(golden.tensor<ItemId>("input.negatives"));
      GivenNegative::row = 0;
    }
    const ItemsView<> items{config.encoder.catalogue.items, {}};
    const LossBatch batch{targets, {history, padding.offsets}, padding.offsets, {}, {}};
    typename Model::template Shared<T> shared;
    typename Model::template Cache<T> cache;
    Model::prepare(config, p.params, items, {}, shared, bench.ctx);
    const auto gradient = Model::shared_gradient(config, p.grads, bench.ctx);
    const double loss = Model::shard(config, p.params, p.grads, shared, gradient, items, batch,
                                     T(1) / static_cast<T>(padding.tokens()), cache, bench.ctx);
    Model::finish(config, p.params, p.grads, shared, gradient, items, bench.ctx);
    meets_loss<T>(golden, loss);
    p.compare(golden, stored_in_model);

    const Matrix<T> states = E::forward(config.encoder, p.params.encoder, shared.rows, items,
                                        batch.history, cache.encoder, bench.ctx);
    meets(golden, "output.states", padding.unpack(std::span<const T>(states.span())));
    const Matrix<T> scores = bench.ctx.take<T>(padding.tokens(), items.items);
    gemm_nt(bench.ctx, states, shared.keys, scores, Write::assign);
    meets(golden, "output.scores", padding.unpack(std::span<const T>(scores.span())));
  }

  static void check(GoldenCase& golden) {
    if (golden.has("input.x")) {
      check_block(golden, Padding(golden, "input.x"), "");
    } else if (golden.text("loss") == "bce") {
      check_model<BinaryCrossEntropy<GivenNegative>>(golden, Padding(golden, "input.input_ids"));
    } else if (golden.text("loss") == "ce") {
      check_model<ItemCrossEntropy<>>(golden, Padding(golden, "input.input_ids"));
    }
  }
};

}  // namespace simgr_test
