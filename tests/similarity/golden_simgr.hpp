// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <numeric>

#include <support/given_states.hpp>
#include <support/golden_compare.hpp>

#include <simgr/loss/cross_entropy.hpp>
#include <simgr/pooler/positions.hpp>
#include <simgr/similarity/candidates.hpp>
#include <simgr/similarity/cross_attention.hpp>
#include <simgr/similarity/inner_product.hpp>
#include <simgr/similarity/scaled_cosine.hpp>

// The family simgr/: SimGR's variant A on given user states, through a whole Composition. One
// scalar for each translation unit.

namespace simgr_test {

/// In-batch softmax whose log q is given for each row, and not for each item.
struct GivenLogQ {
  using In = flow::ItemScores;
  using Out = double;
  struct Config {
    const std::vector<double>* log_q = nullptr;
    std::vector<double>* logits = nullptr;
    template <class F, class C>
    static void for_each_field(C&, F&&) {}
  };

  template <class Scores, class T, class Ctx>
  static double value_and_gradient(const Config& c, const Scores& scores, const LossBatch& batch,
                                   T weight, Ctx& ctx) {
    const Index rows = scores.rows();
    const auto gathered = ctx.template take<T>(rows, scores.keys.cols());
    const auto s = ctx.template take<T>(rows, rows);
    scores.shared(ctx, batch.targets, gathered, s);
    double sum = 0;
    for (Index r = 0; r < rows; ++r) {
      correct_sampled(
          batch.targets, r, [&](Index j) { return (*c.log_q)[static_cast<std::size_t>(j)]; },
          s.row(r));
      c.logits->insert(c.logits->end(), s.row(r).begin(), s.row(r).end());
      sum += cross_entropy_row(ctx, s.row(r), r, weight);
    }
    scores.shared_backward(ctx, batch.targets, gathered, s);
    return sum * static_cast<double>(weight);
  }
};

/// Ours → theirs.
inline std::vector<std::string> stored_name(const std::string& name) {
  if (name == "encoder.digits") {
    return {"digit_embeddings"};
  }
  if (name == "encoder.states") {
    return {"user_states"};
  }
  const std::string own = name.substr(std::string("candidates.pooler.").size());
  for (const char* map : {"query", "key", "value"}) {
    if (own == std::string(map) + ".weight") {
      return {std::string(1, map[0]) + ".weight"};
    }
  }
  return {own};
}

template <class T>
struct SimGrCase {
  GoldenCase& golden;
  Bench bench;
  CatalogueSizes sizes;
  std::vector<std::int32_t> rows;  // [items, digits]: rows of the digit table
  std::vector<ItemId> targets;
  std::vector<Index> offsets;

  explicit SimGrCase(GoldenCase& golden_case)
      : golden(golden_case), targets(golden.tensor<ItemId>("input.targets")) {
    sizes = {golden.integer("items"), golden.integer("digits"),
             golden.integer("digits") * golden.integer("codebook")};
    rows = golden.tensor<std::int32_t>("input.codes");
    for (std::size_t i = 0; i < rows.size(); ++i) {
      rows[i] += static_cast<std::int32_t>(static_cast<Index>(i) % sizes.digits *
                                           golden.integer("codebook"));
    }
    offsets.resize(targets.size() + 1);
    std::iota(offsets.begin(), offsets.end(), Index{0});
  }
  ItemsView<> items() const { return {sizes.items, {rows.data(), {sizes.items, sizes.digits}}}; }
  Index users() const { return static_cast<Index>(targets.size()); }

  /// Everything a case stores, with `inspect(model parts)` for what this family's cases do not
  /// share.
  template <class S, class L = ItemCrossEntropy<>, class Inspect>
  void check(typename Composition<GivenStates, EveryPosition, S, L>::Config config,
             Inspect&& inspect) {
    using Model = Composition<GivenStates, EveryPosition, S, L>;
    config.encoder = {golden.integer("width"), users(), {}, sizes};
    GoldenParameters<Model, T> p(config);
    load(p);
    const T weight = T(1) / static_cast<T>(users());
    const LossBatch batch{targets, {targets, offsets}, offsets, {}, {}};

    typename Model::template Shared<T> shared;
    typename Model::template Cache<T> cache;
    Model::prepare(config, p.params, items(), {}, shared, bench.ctx);
    const auto gradient = Model::shared_gradient(config, p.grads, bench.ctx);
    const double loss = Model::shard(config, p.params, p.grads, shared, gradient, items(), batch,
                                     weight, cache, bench.ctx);
    Model::finish(config, p.params, p.grads, shared, gradient, items(), bench.ctx);
    meets_loss<T>(golden, loss);
    p.compare(golden, stored_name);

    if constexpr (std::is_same_v<L, ItemCrossEntropy<>>) {
      typename S::template QueryCache<T> query_cache;
      const Matrix<const T> queries =
          S::queries(config.similarity, p.params.similarity, MatrixArg<T>(p.params.encoder.states),
                     query_cache, bench.ctx);
      const auto scorer = Model::scorer(config, p.params, p.grads, shared, items(), queries,
                                        Matrix<T>{}, Matrix<T>{}, bench.ctx);
      const Matrix<T> logits = bench.ctx.take<T>(users(), sizes.items);
      scorer.tile(bench.ctx, 0, users(), logits);
      meets(golden, "output.logits", logits);
      inspect(shared, queries, logits, p.params);
    }
  }

private:
  template <class P>
  void load(P& p) {
    for (const TensorEntry& tensor : p.table.tensors) {
      const std::string name = stored_name(tensor.name).front();
      const std::vector<T> stored =
          golden.tensor<T>((name == "user_states" ? "input." : "param.") + name);
      const std::span<T> to = p.of(p.weights, tensor);
      REQUIRE(stored.size() == to.size());
      std::copy(stored.begin(), stored.end(), to.begin());
    }
  }
};

/// item_vectors and probabilities, or those of the large catalogue: log_partition and top20.
template <class T>
auto usual_outputs(SimGrCase<T>& one) {
  return [&one](const auto& shared, auto, Matrix<T> logits, const auto&) {
    GoldenCase& golden = one.golden;
    auto& ctx = one.bench.ctx;
    if (golden.has("output.item_vectors")) {
      meets(golden, "output.item_vectors", shared.vectors);
    }
    if (golden.has("output.probabilities")) {
      const Matrix<T> probabilities = ctx.template take<T>(logits.rows(), logits.cols());
      copy(ctx, logits, probabilities, Write::assign);
      softmax_rows(ctx, probabilities);
      meets(golden, "output.probabilities", probabilities);
    }
    if (golden.has("output.log_partition")) {
      std::vector<T> found;
      for (Index r = 0; r < logits.rows(); ++r) {
        found.push_back(static_cast<T>(log_sum_exp(ctx, logits.row(r))));
      }
      meets(golden, "output.log_partition", found);
    }
    if (golden.has("output.top20")) {
      const std::vector<ItemId> stored = golden.tensor<ItemId>("output.top20");
      const std::vector<double> gaps = golden.tensor<double>("output.top20_smallest_gap");
      std::vector<ItemId> order(static_cast<std::size_t>(logits.cols()));
      int compared = 0;
      for (Index r = 0; r < logits.rows(); ++r) {
        std::iota(order.begin(), order.end(), ItemId{0});
        // Items with equal codes tie; a product may round them apart by less than any real gap.
        const T tie = std::is_same_v<T, float> ? T(1e-5) : T(1e-11);
        if (gaps[static_cast<std::size_t>(r)] > 0 && gaps[static_cast<std::size_t>(r)] < 20 * tie) {
          continue;
        }
        ++compared;
        std::stable_sort(order.begin(), order.end(),
                         [&](ItemId a, ItemId b) { return logits(r, a) > logits(r, b); });
        for (std::size_t begin = 0; begin < 40; ++begin) {  // runs of ties, by id
          std::size_t end = begin + 1;
          while (end < order.size() && logits(r, order[end - 1]) - logits(r, order[end]) < tie) {
            ++end;
          }
          std::sort(order.begin() + static_cast<std::ptrdiff_t>(begin),
                    order.begin() + static_cast<std::ptrdiff_t>(end));
          begin = end - 1;
        }
        for (std::size_t k = 0; k < 20; ++k) {
          CHECK(order[k] == stored[static_cast<std::size_t>(20 * r) + k]);
        }
      }
      CHECK(compared >= logits.rows() / 2);
    }
  };
}

/// What the scorer never forms: the weights of an item's digits for each user, and the vectors.
template <class T>
auto cross_outputs(SimGrCase<T>& one) {
  return [&one](const auto& shared, auto queries, Matrix<T>, const auto&) {
    const Index digits = one.sizes.digits, width = queries.cols(), table = one.sizes.table_rows;
    const Matrix<const std::int32_t> rows = one.items().digit_rows;
    std::vector<T> attention, vectors;
    for (Index b = 0; b < queries.rows(); ++b) {
      for (Index i = 0; i < rows.rows(); ++i) {
        std::vector<T> weights(static_cast<std::size_t>(digits)),
            vector(static_cast<std::size_t>(width));
        for (Index l = 0; l < digits; ++l) {
          weights[static_cast<std::size_t>(l)] =
              static_cast<T>(dot<T>(queries.row(b).span(), shared.keys.row(rows(i, l)).span()));
        }
        softmax_rows(one.bench.ctx, Matrix<T>(weights.data(), {1, digits}));
        for (Index l = 0; l < digits; ++l) {
          for (Index j = 0; j < width; ++j) {
            vector[static_cast<std::size_t>(j)] +=
                weights[static_cast<std::size_t>(l)] * shared.keys(table + rows(i, l), j);
          }
        }
        attention.insert(attention.end(), weights.begin(), weights.end());
        vectors.insert(vectors.end(), vector.begin(), vector.end());
      }
    }
    meets(one.golden, "output.attention", attention);
    meets(one.golden, "output.item_vectors", vectors);
  };
}

/// One digit pooler under the similarity that the case names.
template <class P, class T>
void check_pooler(GoldenCase& golden) {
  SimGrCase<T> one(golden);
  typename P::Config pooler{};
  if constexpr (requires { pooler.scale; }) {
    pooler.scale = 1;  // the reference has no factor
  }
  if (golden.text("similarity") == "dot") {
    one.template check<InnerProduct<PooledDigits<P>>>({.candidates = pooler}, usual_outputs(one));
  } else {
    one.template check<ScaledCosine<PooledDigits<P>>>(
        {.similarity = {.temperature = golden.number("tau")}, .candidates = pooler},
        usual_outputs(one));
  }
}

template <class T>
void check_in_batch(GoldenCase& golden) {
  SimGrCase<T> one(golden);
  const std::vector<double> log_q = golden.tensor<double>("input.target_log_popularity");
  std::vector<double> logits;
  one.template check<ScaledCosine<PooledDigits<Mean>>, GivenLogQ>(
      {.similarity = {.temperature = golden.number("tau")}, .loss = {&log_q, &logits}},
      [](const auto&...) {});
  const std::vector<T> found(logits.begin(), logits.end());
  meets(golden, "output.masked_logits", found);
}

template <class T>
void check_cross_attention(GoldenCase& golden) {
  SimGrCase<T> one(golden);
  one.template check<ScaledCosine<PooledDigits<CrossAttention>>>(
      {.similarity = {.temperature = golden.number("tau")}}, cross_outputs(one));
}

template <class T>
void check_simgr(GoldenCase& golden) {
  const std::string pooler = golden.text("pooler");
  if (golden.has("input.target_log_popularity")) {
    check_in_batch<T>(golden);
  } else if (golden.has("output.attention")) {
    check_cross_attention<T>(golden);
  } else if (pooler == "attention") {
    check_pooler<DigitAttention, T>(golden);
  } else if (pooler == "gated") {
    check_pooler<DigitGate, T>(golden);
  } else if (pooler == "sum") {
    check_pooler<Sum, T>(golden);
  } else if (pooler == "mean" || golden.has("output.log_partition")) {
    check_pooler<Mean, T>(golden);
  }
}

}  // namespace simgr_test
