// SPDX-License-Identifier: Apache-2.0
#include <support/golden_compare.hpp>

#include <simgr/composition.hpp>
#include <simgr/encoder/item_embedding.hpp>
#include <simgr/encoder/recurrent_encoder.hpp>
#include <simgr/loss/cross_entropy.hpp>
#include <simgr/nn/gru.hpp>
#include <simgr/pooler/positions.hpp>
#include <simgr/similarity/candidates.hpp>
#include <simgr/similarity/inner_product.hpp>

// The family gru/: layers alone, and the whole model.

using namespace simgr;

namespace {

/// Stored layers one after another, one sequence a row; each has its first states.
template <class Reset, class T>
void check_stored(simgr_test::GoldenCase& golden, std::vector<Index> offsets,
                  const std::vector<T>& x, const std::vector<T>& upstream,
                  const std::vector<T>& first, Index layers, auto stored, auto&& results) {
  using L = Gru<Reset>;
  simgr_test::Bench bench;
  const Index tokens = offsets.back(), sequences = static_cast<Index>(offsets.size()) - 1,
              hidden = golden.integer("hidden");
  std::vector<simgr_test::GoldenParameters<L, T>> parameters;
  std::vector<typename L::template Cache<T>> caches(static_cast<std::size_t>(layers));
  std::vector<typename L::Config> configs;
  MatrixArg<T> states(x.data(), {tokens, golden.integer("inputs")});
  for (Index i = 0; i < layers; ++i) {
    const auto at = static_cast<std::size_t>(i);
    configs.push_back({.in = states.cols(),
                       .hidden = hidden,
                       .biased = golden.flag("bias", !golden.has_config("bias"))});
    auto& p = parameters.emplace_back(configs.back());
    p.load(golden, [&](const std::string& name) { return stored(name, i); });
    states = L::forward(configs[at], p.params, states,
                        MatrixArg<T>(first.data() + i * sequences * hidden, {sequences, hidden}),
                        offsets, caches[at], bench.ctx);
  }
  std::vector<T> dfirst(first.size());
  MatrixArg<T> d(upstream.data(), {tokens, hidden});
  for (Index i = layers; i-- > 0;) {
    const auto at = static_cast<std::size_t>(i);
    d = L::backward(configs[at], parameters[at].params, parameters[at].grads, d,
                    Matrix<T>(dfirst.data() + i * sequences * hidden, {sequences, hidden}),
                    caches[at], bench.ctx);
    parameters[at].compare(golden, [&](const std::string& name) { return stored(name, i); });
  }
  results(states, d, dfirst);
}

std::vector<std::string> stored_by_library(const std::string& name, Index layer) {
  const std::string part = name.starts_with("input.") ? "_ih_l" : "_hh_l";
  return {name.substr(name.find('.') + 1) + part + std::to_string(layer)};
}

template <class T>
void check_library(simgr_test::GoldenCase& golden) {
  const simgr_test::Padding padding(golden, "input.x");
  std::vector<T> upstream = padding.pack(golden.tensor<T>("input.upstream"));
  const std::vector<T> of_last = golden.tensor<T>("input.upstream_last"),
                       h0 = golden.tensor<T>("input.h0"),
                       dy = upstream;  // what is projected; the last states besides
  const Index hidden = golden.integer("hidden");
  const auto last = [&](Index s) {
    return (padding.offsets[static_cast<std::size_t>(s) + 1] - 1) * hidden;
  };
  for (Index s = 0; s < padding.sequences(); ++s) {
    for (Index j = 0; j < hidden; ++j) {
      upstream[static_cast<std::size_t>(last(s) + j)] +=
          of_last[static_cast<std::size_t>(s * hidden + j)];
    }
  }
  check_stored<ResetAfter, T>(
      golden, padding.offsets, padding.pack(golden.tensor<T>("input.x")), upstream, h0,
      golden.integer("layers"), stored_by_library,
      [&](MatrixArg<T> y, MatrixArg<T> dx, const std::vector<T>& dfirst) {
        std::vector<T> ends;
        for (Index s = 0; s < padding.sequences(); ++s) {
          ends.insert(ends.end(), y.data() + last(s), y.data() + last(s) + hidden);
        }
        simgr_test::meets(golden, "output.y", padding.unpack(y.span()));
        simgr_test::meets(golden, "output.last_state", ends);
        simgr_test::meets(golden, "grad.x", padding.unpack(dx.span()));
        simgr_test::meets(golden, "grad.h0", dfirst);
        simgr_test::meets_loss<T>(golden, simgr_test::dot<T>(y.span(), dy) +
                                              simgr_test::dot<T>(ends, of_last));
      });
}

template <class T>
void check_original(simgr_test::GoldenCase& golden) {
  const std::vector<T> h = golden.tensor<T>("input.h"),
                       upstream = golden.tensor<T>("input.upstream");
  std::vector<Index> offsets{0};
  while (static_cast<Index>(offsets.size()) <= golden.shape("input.h")[0]) {
    offsets.push_back(offsets.back() + 1);
  }
  check_stored<ResetBefore, T>(
      golden, offsets, golden.tensor<T>("input.x"), upstream, h, 1,
      [](const std::string& name, Index) {
        return std::vector<std::string>{name == "input.weight"   ? "w.weight"
                                        : name == "state.weight" ? "u.weight"
                                                                 : "bias"};
      },
      [&](MatrixArg<T> y, MatrixArg<T> dx, const std::vector<T>& dfirst) {
        simgr_test::meets(golden, "output.y", y);
        simgr_test::meets(golden, "grad.x", dx);
        simgr_test::meets(golden, "grad.h", dfirst);
        simgr_test::meets_loss<T>(golden, simgr_test::dot<T>(y.span(), upstream));
      });
}

std::vector<std::string> stored_of_gru4rec(const std::string& name) {
  const std::string own = name.substr(std::string("encoder.").size());
  return {own.starts_with("layers.0.input") ? "weight_ih_l0"
          : own.starts_with("layers.0.")    ? "weight_hh_l0"
          : own.starts_with("out.")         ? "dense" + own.substr(own.find('.'))
                                            : "item.weight"};
}

template <class T>
void check_gru4rec(simgr_test::GoldenCase& golden) {
  using E = RecurrentEncoder<ItemEmbedding, ResetAfter>;
  using Model = Composition<E, LastPosition, InnerProduct<TiedItems>, ItemCrossEntropy<>>;
  const simgr_test::Padding padding(golden, "input.input_ids");
  simgr_test::Bench bench;
  typename Model::Config config;
  config.encoder = {.width = golden.integer("width"),
                    .hidden = golden.integer("hidden"),
                    .dropout = 0,
                    .biased = false,
                    .catalogue = {.items = golden.integer("items")}};
  simgr_test::GoldenParameters<Model, T> p(config);
  p.load(golden, stored_of_gru4rec);
  const std::vector<ItemId> history = padding.pack(golden.tensor<ItemId>("input.input_ids")),
                            targets = golden.tensor<ItemId>("input.targets");
  const ItemsView<> items{config.encoder.catalogue.items, {}};
  const LossBatch batch{targets, {history, padding.offsets}, {}, {}, {}};
  typename Model::template Shared<T> shared;
  typename Model::template Cache<T> cache;
  Model::prepare(config, p.params, items, {}, shared, bench.ctx);
  const auto gradient = Model::shared_gradient(config, p.grads, bench.ctx);
  const double loss = Model::shard(config, p.params, p.grads, shared, gradient, items, batch,
                                   T(1) / static_cast<T>(padding.sequences()), cache, bench.ctx);
  Model::finish(config, p.params, p.grads, shared, gradient, items, bench.ctx);
  simgr_test::meets_loss<T>(golden, loss);
  p.compare(golden, stored_of_gru4rec);

  bench.ctx.training = false;
  const Matrix<const T> queries =
      Model::queries(config, p.params, shared.rows, items, batch.history, cache, bench.ctx);
  simgr_test::meets(golden, "output.user_states", queries);
  const Matrix<T> scores = bench.ctx.template take<T>(queries.rows(), items.items);
  gemm_nt(bench.ctx, queries, shared.keys, scores, Write::assign);
  simgr_test::meets(golden, "output.scores", scores);
}

}  // namespace

TEST_SUITE("golden") {
  TEST_CASE("gated recurrent units and GRU4Rec reproduce the reference in both scalars") {
    simgr_test::GoldenFamily family("gru");
    for (simgr_test::GoldenCase& golden : family.cases()) {
      if (golden.has("input.h")) {
        check_original<double>(golden);
        check_original<float>(golden);
      } else if (golden.has("input.h0")) {
        check_library<double>(golden);
        check_library<float>(golden);
      } else if (golden.has("input.targets")) {
        check_gru4rec<double>(golden);
        check_gru4rec<float>(golden);
      }
    }
  }
}
