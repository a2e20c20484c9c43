// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include <support/given_states.hpp>

#include <simgr/composition.hpp>
#include <simgr/core/digit_products.hpp>
#include <simgr/core/parameter.hpp>
#include <simgr/cpu/cpu.hpp>
#include <simgr/loss/negatives.hpp>

// Models of a world whose distributions are known, trained on the expected loss: no drawn targets,
// so no noise, and the loss comes down to a floor that can be computed.

namespace simgr_test {

using namespace simgr;

/// Σ_i p_i (-ln softmax(s)_i) for every user, p known.
struct ExpectedCrossEntropy {
  using In = flow::ItemScores;
  using Out = double;
  struct Config {
    const std::vector<double>* shares = nullptr;  // [users, items]
    template <class F, class C>
    static void for_each_field(C&, F&&) {}
  };
  template <class Scores, class T, class Ctx>
  static double value_and_gradient(const Config& c, const Scores& scores, const LossBatch&,
                                   T weight, Ctx& ctx) {
    const auto s = ctx.template take<T>(scores.rows(), scores.candidates());
    scores.tile(ctx, 0, scores.rows(), s);
    double sum = 0;
    for (Index r = 0; r < scores.rows(); ++r) {
      const VectorArg<T> mass(c.shares->data() + r * scores.candidates(), {scores.candidates()});
      sum += cross_entropy_row(ctx, s.row(r), mass, weight);
    }
    scores.tile_backward(ctx, 0, scores.rows(), s);
    return sum * static_cast<double>(weight);
  }
};

/// The sum over digits of the same, each digit against its own codes.
struct ExpectedDigitCrossEntropy {
  using In = flow::DigitScores;
  using Out = double;
  struct Config {
    const std::vector<double>* shares = nullptr;  // [users, table rows]: the marginals
    std::vector<double>* logs = nullptr;          // [users, table rows]: receives what is predicted
    template <class F, class C>
    static void for_each_field(C&, F&&) {}
  };
  template <class Scores, class T, class Ctx>
  static double value_and_gradient(const Config& c, const Scores& scores, const LossBatch&,
                                   T weight, Ctx& ctx) {
    const Index digits = scores.digits(), rows = scores.rows(), codes = scores.keys.rows();
    if (c.logs != nullptr) {
      c.logs->resize(static_cast<std::size_t>(rows * codes));
      scores.log_probabilities(ctx, 0, rows, Matrix<T>(c.logs->data(), {rows, codes}));
    }
    double sum = 0;
    for (Index j = 0; j < digits; ++j) {
      const Index first = scores.items.digit_starts[static_cast<std::size_t>(j)],
                  count = scores.items.digit_starts[static_cast<std::size_t>(j) + 1] - first;
      const auto s = ctx.template take<T>(1, count);
      for (Index r = 0; r < rows; ++r) {
        const auto query = scores.queries.slice(r * digits + j, 1);
        gemm_nt(ctx, query, scores.keys.slice(first, count), s, Write::assign);
        const VectorArg<T> mass(c.shares->data() + r * codes + first, {count});
        sum += cross_entropy_row(ctx, s.row(0), mass, weight);
        gemm_nn(ctx, s, scores.keys.slice(first, count), scores.dqueries.slice(r * digits + j, 1),
                Write::assign);
        gemm_tn(ctx, s, query, scores.dkeys.slice(first, count), Write::add);
      }
    }
    return sum * static_cast<double>(weight);
  }
};

/// The expected loss after `steps` of Adam; users are given states of `width`, one each.
template <class Model>
double trained_loss(typename Model::Config config, const ItemsView<>& items, Index users,
                    Index width, int steps, double rate) {
  const Index table_rows = items.digit_starts.back();
  config.encoder = {
      width, users, {.deviation = 0.3}, {items.items, items.digit_rows.cols(), table_rows}};
  const ParameterTable table = describe<Model>(config);
  const auto size = static_cast<std::size_t>(table.block_size);
  std::vector<double> weights(size), gradients(size), first(size), second(size);
  initialise(table, std::span<double>(weights), 4);
  const auto params = bind<Model>(config, weights.data()),
             grads = bind<Model>(config, gradients.data());
  const std::vector<ItemId> history(static_cast<std::size_t>(users), 0);
  std::vector<Index> offsets;
  for (Index u = 0; u <= users; ++u) { offsets.push_back(u); }
  const LossBatch batch{history, {history, offsets}, offsets, {}, {}};
  Arena arena;
  double loss = 0;
  for (int step = 1; step <= steps; ++step) {
    arena.reset();
    cpu::Context ctx{arena, true};
    std::fill(gradients.begin(), gradients.end(), 0.0);
    typename Model::template Shared<double> shared;
    typename Model::template Cache<double> cache;
    Model::prepare(config, params, items, {}, shared, ctx);
    const auto gradient = Model::shared_gradient(config, grads, ctx);
    loss = Model::shard(config, params, grads, shared, gradient, items, batch,
                        1.0 / static_cast<double>(users), cache, ctx);
    Model::finish(config, params, grads, shared, gradient, items, ctx);
    const double now = rate * std::min(1.0, 3.0 * (1.0 - static_cast<double>(step - 1) / steps));
    for (std::size_t i = 0; i < size; ++i) {
      first[i] += 0.1 * (gradients[i] - first[i]);
      second[i] += 0.01 * (gradients[i] * gradients[i] - second[i]);
      const double mean = first[i] / (1 - std::pow(0.9, step));
      const double square = second[i] / (1 - std::pow(0.99, step));
      weights[i] -= now * mean / (std::sqrt(square) + 1e-9);
    }
  }
  return loss;
}

}  // namespace simgr_test
