// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <numeric>
#include <set>

#include <support/given_states.hpp>
#include <support/golden_compare.hpp>

#include <simgr/cpu/topk.hpp>
#include <simgr/encoder/pooled_digit_embedding.hpp>
#include <simgr/encoder/transformer.hpp>
#include <simgr/loss/digit_cross_entropy.hpp>
#include <simgr/pooler/digit_heads.hpp>
#include <simgr/ranker/graph_decoding.hpp>
#include <simgr/similarity/digit_codebooks.hpp>
#include <simgr/similarity/scaled_cosine.hpp>

// The family rpg/: heads and loss on given states, a whole model, and the graph search. One scalar
// for each translation unit.

namespace simgr_test {

/// Theirs has a padding row before the digit table and an unused one after it, and the weight of a
/// head as [in, out].
template <class T>
struct RpgCase {
  GoldenCase& golden;
  Bench bench;
  Index digits, codebook, width, items_count;
  std::vector<std::int32_t> rows;
  std::vector<Index> starts;

  explicit RpgCase(GoldenCase& golden_case)
      : golden(golden_case), digits(golden.integer("digits")), codebook(golden.integer("codebook")),
        width(golden.has("param.token.weight") ? golden.shape("param.token.weight")[1] : 0),
        items_count(golden.integer("items")),
        rows(golden.tensor<std::int32_t>("input.item_codes")) {
    for (std::size_t i = 0; i < rows.size(); ++i) {
      rows[i] += static_cast<std::int32_t>(static_cast<Index>(i) % digits * codebook);
    }
    for (Index j = 0; j <= digits; ++j) { starts.push_back(j * codebook); }
  }
  CatalogueSizes sizes() const { return {items_count, digits, digits * codebook}; }
  ItemsView<> items() const { return {items_count, {rows.data(), {items_count, digits}}, starts}; }

  static std::string stored_name(const std::string& name) {
    if (name == "encoder.states") {
      return "states";
    }
    if (name == "encoder.digits" || name == "encoder.embedding.digits") {
      return "token.weight";
    }
    if (name.starts_with("pooler.")) {
      return name.substr(std::string("pooler.").size());
    }
    if (name == "encoder.position") {
      return "position.weight";
    }
    if (name.starts_with("encoder.final_norm.")) {
      return "last_norm." + name.substr(std::string("encoder.final_norm.").size());
    }
    std::string own = name.substr(std::string("encoder.").size());
    for (const auto& [ours, theirs] : {std::pair<std::string, std::string>{"attention.qkv", "qkv"},
                                       {"attention.out", "out"},
                                       {"up.", "ffn1."},
                                       {"down.", "ffn2."}}) {
      if (const auto at = own.find(ours); at != own.npos) {
        own.replace(at, ours.size(), theirs);
      }
    }
    return own;
  }
  /// Between [digits][in, out] and [digits · out, in].
  std::vector<T> turned(std::span<const T> heads) const {
    std::vector<T> to(heads.size());
    for (Index j = 0; j < digits; ++j) {
      for (Index a = 0; a < width; ++a) {
        for (Index b = 0; b < width; ++b) {
          to[static_cast<std::size_t>((j * width + a) * width + b)] =
              heads[static_cast<std::size_t>((j * width + b) * width + a)];
        }
      }
    }
    return to;
  }
  template <class P>
  void load(P& p) {
    for (const TensorEntry& tensor : p.table.tensors) {
      const std::string name = stored_name(tensor.name);
      std::vector<T> stored = golden.tensor<T>((name == "states" ? "input." : "param.") + name);
      if (name == "heads.weight") {
        stored = turned(stored);
      }
      const std::size_t skip = name == "token.weight" ? static_cast<std::size_t>(width) : 0;
      const std::span<T> to = p.of(p.weights, tensor);
      INFO(tensor.name);
      REQUIRE(stored.size() == to.size() + 2 * skip);
      std::copy_n(stored.begin() + static_cast<std::ptrdiff_t>(skip), to.size(), to.begin());
    }
  }
  template <class P>
  void compare(P& p) {
    for (const TensorEntry& tensor : p.table.tensors) {
      const std::string name = stored_name(tensor.name);
      const std::span<const T> ours = p.of(p.gradients, tensor);
      std::vector<T> found(ours.begin(), ours.end());
      if (name == "heads.weight") {
        found = turned(found);
      }
      if (name == "token.weight") {
        found.insert(found.begin(), static_cast<std::size_t>(width), T(0));
        found.insert(found.end(), static_cast<std::size_t>(width), T(0));
      }
      meets(golden, "grad." + name, found);
    }
  }

  /// Loss and gradients of a model, and `inspect(scorer)` for the outputs.
  template <class E, class Inspect>
  void check(typename E::Config encoder, std::span<const ItemId> history,
             std::span<const Index> offsets, std::span<const ItemId> targets, Inspect&& inspect) {
    using S = ScaledCosine<DigitCodebooks>;
    using Model = Composition<E, DigitHeads<>, S, DigitCrossEntropy>;
    typename Model::Config config;
    config.encoder = encoder;
    config.similarity.temperature = golden.number("tau");
    GoldenParameters<Model, T> p(config);
    load(p);
    const LossBatch batch{targets, {history, offsets}, offsets, {}, {}};
    typename Model::template Shared<T> shared;
    typename Model::template Cache<T> cache;
    Model::prepare(config, p.params, items(), {}, shared, bench.ctx);
    const auto gradient = Model::shared_gradient(config, p.grads, bench.ctx);
    const double loss = Model::shard(config, p.params, p.grads, shared, gradient, items(), batch,
                                     T(1) / static_cast<T>(targets.size()), cache, bench.ctx);
    Model::finish(config, p.params, p.grads, shared, gradient, items(), bench.ctx);
    meets_loss<T>(golden, loss);
    compare(p);

    const Matrix<T> states = E::forward(config.encoder, p.params.encoder, shared.rows, items(),
                                        batch.history, cache.encoder, bench.ctx);
    const Matrix<T> digit_states =
        DigitHeads<>::forward(config.pooler_shape(), p.params.pooler, states, cache.encoder.offsets,
                              cache.pooler, bench.ctx);
    const Matrix<const T> queries =
        S::queries(config.similarity, p.params.similarity, digit_states, cache.queries, bench.ctx);
    const auto scorer = Model::scorer(config, p.params, p.grads, shared, items(), queries,
                                      Matrix<T>{}, Matrix<T>{}, bench.ctx);
    inspect(states, digit_states, scorer);
  }

  void check_heads() {
    const auto targets = golden.tensor<ItemId>("input.targets");
    std::vector<Index> offsets(targets.size() + 1);
    std::iota(offsets.begin(), offsets.end(), Index{0});
    const auto count = static_cast<Index>(targets.size());
    check<GivenStates>({width, count, {}, sizes()}, targets, offsets, targets,
                       [&](auto, auto digit_states, auto scorer) {
                         meets(golden, "output.head_states", digit_states);
                         const auto logs = bench.ctx.template take<T>(count, digits * codebook),
                                    scores = bench.ctx.template take<T>(count, items_count);
                         scorer.log_probabilities(bench.ctx, 0, count, logs);
                         scorer.tile(bench.ctx, 0, count, scores);
                         meets(golden, "output.digit_log_probabilities", logs);
                         meets(golden, "output.item_scores", scores);
                       });
  }

  void check_model() {
    using E = TransformerEncoder<MeanOfDigits, Causal>;
    const Padding padding(golden, "input.input_ids");
    typename E::Config config;
    config.width = width;
    config.layers = golden.integer("layers");
    config.heads = golden.integer("heads");
    config.inner = golden.integer("inner");
    config.max_length = golden.integer("max_length");
    config.dropout = config.attention_dropout = 0;
    config.epsilon = 1e-12;
    config.catalogue = sizes();
    const auto history = padding.pack(golden.tensor<ItemId>("input.input_ids")),
               targets = padding.pack(golden.tensor<ItemId>("input.targets"));
    check<E>(config, history, padding.offsets, targets, [&](auto states, auto, auto scorer) {
      meets(golden, "output.states", padding.unpack(std::span<const T>(states.span())));
      const auto last = bench.ctx.template take<T>(padding.sequences(), items_count);
      for (Index s = 0; s < padding.sequences(); ++s) {
        scorer.tile(bench.ctx, padding.offsets[static_cast<std::size_t>(s) + 1] - 1, 1,
                    last.slice(s, 1));
      }
      meets(golden, "output.item_scores_last", last);
    });
  }

  /// The search is float alone; its stored inputs are.
  void check_graph() {
    using Graph = ranker::GraphDecoding;
    const std::vector<float> tokens = golden.tensor<float>("param.token.weight"),
                             logs = golden.tensor<float>("input.digit_log_probabilities");
    const Graph::Config config{golden.integer("beam"), golden.integer("neighbours"),
                               golden.integer("rounds")};
    const Matrix<const float> keys(tokens.data() + width, {digits * codebook, width});
    const DigitProducts<float> scores{{nullptr, {0, width}}, keys, {}, {}, items()};
    Graph::State state = Graph::prepare(bench.ctx, config, scores);

    const auto neighbours = golden.tensor<ItemId>("output.neighbours");
    const auto gaps = golden.tensor<double>("output.neighbour_gap");
    const auto similarity = golden.matrix<double>("output.item_similarity");
    for (Index i = 0; i < items_count; ++i) {
      const auto at = static_cast<std::size_t>(i * config.neighbours);
      const std::set<ItemId> stored(neighbours.begin() + static_cast<std::ptrdiff_t>(at),
                                    neighbours.begin() + static_cast<std::ptrdiff_t>(at) +
                                        config.neighbours);
      const auto row = state.neighbours.view().row(i);
      if (gaps[static_cast<std::size_t>(i)] > 1e-5) {
        CHECK(std::set<ItemId>(row.begin(), row.end()) == stored);
      }
      for (Index k = 1; k < config.neighbours; ++k) {
        CHECK(similarity.view()(i, row[k - 1]) >= similarity.view()(i, row[k]) - 1e-6);
      }
    }
    golden.not_compared("output.digit_similarity", "seen through item_similarity");
    golden.not_compared("output.item_inputs", "the mean of digits: rpg/model");

    const auto stored_starts = golden.matrix<ItemId>("input.starts");
    const auto rounds = golden.tensor<ItemId>("output.beam_after_round");
    const auto visited = golden.matrix<ItemId>("output.visited");
    const auto item_scores = golden.matrix<double>("output.item_scores");
    for (Index user = 0; user < stored_starts.rows; ++user) {
      const auto from = stored_starts.view().row(user);
      const std::set<ItemId> distinct(from.begin(), from.end());
      state.starts.assign(distinct.begin(), distinct.end());
      const MatrixArg<float> own(logs.data() + user * digits * codebook, {1, digits * codebook});
      Index round = 0;
      const auto met = Graph::walk(
          bench.ctx, config, state, items_count,
          [&](ItemId item) { return scores.item_score(own.row(0), item); },
          [&](std::span<const ranker::ListedItem> kept) {
            for (std::size_t place = 0; place < kept.size(); ++place) {
              CHECK(kept[place].item ==
                    rounds[static_cast<std::size_t>((user * config.rounds + round) * config.beam) +
                           place]);
            }
            ++round;
          });
      CHECK(round == config.rounds);
      std::set<ItemId> ours, theirs;
      for (const ranker::ListedItem& one : met) {
        ours.insert(one.item);
        CHECK(one.score == doctest::Approx(item_scores.view()(user, one.item)).epsilon(1e-5));
      }
      for (ItemId item = 0; item < visited.cols; ++item) {
        if (visited.view()(user, item) != 0) {
          theirs.insert(item);
        }
      }
      CHECK(ours == theirs);
    }
  }
};

template <class T>
void check_rpg(GoldenCase& golden) {
  if (golden.has("output.neighbours")) {
    RpgCase<T>(golden).check_graph();
  } else if (golden.has("output.head_states")) {
    RpgCase<T>(golden).check_heads();
  } else if (golden.has("output.item_scores_last")) {
    RpgCase<T>(golden).check_model();
  }
}

}  // namespace simgr_test
