// SPDX-License-Identifier: Apache-2.0
#include <simgr/train/optimizer.hpp>

#include <cmath>
#include <vector>

#include <doctest/doctest.h>

#include <simgr/train/clip.hpp>

namespace {

using simgr::Index;
using simgr::train::Optimizer;
using simgr::train::OptimizerConfig;
using simgr::train::OptimizerState;

/// Three tensors with gaps between them: decays, does not, decays.
simgr::ParameterTable three_tensors() {
  return simgr::lay_out({{"weight", {1501}, 0, 1501, {}, simgr::Decay::yes},
                         {"bias", {7}, 0, 7, {}, simgr::Decay::no},
                         {"table", {33}, 0, 33, {}, simgr::Decay::yes}});
}

std::vector<double> wave(const simgr::ParameterTable& table, double phase) {
  std::vector<double> block(static_cast<std::size_t>(table.block_size), 0.0);
  for (const auto& tensor : table.tensors) {
    for (Index i = 0; i < tensor.size; ++i) {
      block[static_cast<std::size_t>(tensor.offset + i)] =
          std::sin(phase + 0.37 * static_cast<double>(tensor.offset + i));
    }
  }
  return block;
}

/// One element of one tensor, straight from the papers.
struct Oracle {
  double w, a = 0, b = 0;
  void step(const OptimizerConfig& c, double g, double rate, int t, bool decays) {
    const double decay = decays ? c.weight_decay : 0;
    if (c.kind == Optimizer::adamw) {
      w -= rate * decay * w;
    } else {
      g += decay * w;
    }
    switch (c.kind) {
    case Optimizer::adamw:
    case Optimizer::adam:
      a = c.beta1 * a + (1 - c.beta1) * g;
      b = c.beta2 * b + (1 - c.beta2) * g * g;
      w -= rate * (a / (1 - std::pow(c.beta1, t))) /
           (std::sqrt(b / (1 - std::pow(c.beta2, t))) + c.epsilon);
      break;
    case Optimizer::sgd:
      a = c.momentum * a + g;
      w -= rate * a;
      break;
    case Optimizer::adagrad:
      a += g * g;
      w -= rate * g / (std::sqrt(a) + c.epsilon);
      break;
    }
  }
};

void check_against_oracle(const OptimizerConfig& config) {
  const auto table = three_tensors();
  std::vector<double> weights = wave(table, 0.1);
  std::vector<Oracle> oracle;
  for (const double w : weights) { oracle.push_back({w}); }
  OptimizerState<double> state(config, table.block_size);
  for (int t = 1; t <= 12; ++t) {
    const auto gradients = wave(table, 1.0 + t);
    const double rate = config.rate / t;
    state.step(table, weights, gradients, rate, 0.5);
    double worst = 0;
    for (const auto& tensor : table.tensors) {
      for (Index i = tensor.offset; i < tensor.offset + tensor.size; ++i) {
        const auto at = static_cast<std::size_t>(i);
        oracle[at].step(config, 0.5 * gradients[at], rate, t, tensor.decay == simgr::Decay::yes);
        worst = std::max(worst, std::abs(oracle[at].w - weights[at]));
      }
    }
    CHECK(worst < 1e-13);
  }
  CHECK(state.steps() == 12);
  std::vector<bool> inside(weights.size(), false);
  for (const auto& tensor : table.tensors) {
    for (Index i = 0; i < tensor.size; ++i) {
      inside[static_cast<std::size_t>(tensor.offset + i)] = true;
    }
  }
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (!inside[i]) {
      CHECK(weights[i] == 0);  // gaps stay zero
    }
  }
}

}  // namespace

TEST_CASE("every optimiser follows its definition element by element, and decays only where told") {
  SUBCASE("AdamW") {
    check_against_oracle({.kind = Optimizer::adamw, .weight_decay = 0.1});
  }
  SUBCASE("Adam with classic L2") {
    check_against_oracle({.kind = Optimizer::adam, .beta2 = 0.98, .weight_decay = 0.1});
  }
  SUBCASE("SGD") {
    check_against_oracle({.kind = Optimizer::sgd, .weight_decay = .01, .momentum = 0});
  }
  SUBCASE("SGD with momentum") {
    check_against_oracle({.kind = Optimizer::sgd, .weight_decay = .01});
  }
  SUBCASE("Adagrad") {
    check_against_oracle(
        {.kind = Optimizer::adagrad, .rate = 0.4, .epsilon = 1e-10, .weight_decay = .01});
  }
}

TEST_CASE("an optimiser keeps as many blocks as its kind needs") {
  const auto blocks = [](OptimizerConfig config) {
    return OptimizerState<float>(config, 64).moment_count();
  };
  CHECK(blocks({.kind = Optimizer::adamw}) == 2);
  CHECK(blocks({.kind = Optimizer::adam}) == 2);
  CHECK(blocks({.kind = Optimizer::adagrad}) == 1);
  CHECK(blocks({.kind = Optimizer::sgd}) == 1);
  CHECK(blocks({.kind = Optimizer::sgd, .momentum = 0}) == 0);
}

TEST_CASE("a state restored from its moments and step count goes on with the same bits") {
  const auto table = three_tensors();
  for (const Optimizer kind :
       {Optimizer::adamw, Optimizer::adam, Optimizer::sgd, Optimizer::adagrad}) {
    const OptimizerConfig config{.kind = kind, .weight_decay = 0.01};
    std::vector<float> whole(static_cast<std::size_t>(table.block_size));
    std::vector<float> gradients(whole.size());
    const auto start = wave(table, 0.3);
    std::copy(start.begin(), start.end(), whole.begin());
    OptimizerState<float> uninterrupted(config, table.block_size);
    std::vector<float> resumed;
    for (int t = 0; t < 9; ++t) {
      if (t == 5) {
        resumed = whole;
        OptimizerState<float> restored(config, table.block_size);
        for (Index i = 0; i < restored.moment_count(); ++i) {
          const auto from = uninterrupted.moments(i);
          std::copy(from.begin(), from.end(), restored.moments(i).begin());
        }
        restored.set_steps(uninterrupted.steps());
        for (int later = 5; later < 9; ++later) {
          const auto g = wave(table, later);
          std::copy(g.begin(), g.end(), gradients.begin());
          restored.step(table, resumed, gradients, 0.01);
        }
      }
      const auto g = wave(table, t);
      std::copy(g.begin(), g.end(), gradients.begin());
      uninterrupted.step(table, whole, gradients, 0.01);
    }
    CHECK(whole == resumed);
  }
}

TEST_CASE("a setting out of range is refused with its name") {
  CHECK_THROWS_WITH_AS(OptimizerState<float>({.beta1 = 1.5}, 16),
                       doctest::Contains("optimizer.beta1: expected 0 to 0.9999, found 1.5"),
                       simgr::ConfigError);
  CHECK_THROWS_AS(OptimizerState<float>({.rate = std::nan("")}, 16), simgr::ConfigError);
}

TEST_CASE("in mixed precision a step is one of the masters, and then a rounding") {
  const simgr::ParameterTable table = three_tensors();
  for (const Optimizer kind :
       {Optimizer::adamw, Optimizer::adam, Optimizer::sgd, Optimizer::adagrad}) {
    CAPTURE(static_cast<int>(kind));
    const OptimizerConfig config{.kind = kind, .rate = 1e-3, .weight_decay = 0.1};
    const auto first = wave(table, 0.3);
    std::vector<float> masters(first.begin(), first.end()), weights = masters;
    OptimizerState<float> plain(config, table.trained_size), mixed(config, table.trained_size);
    CHECK(mixed.masters().empty());
    mixed.keep_masters(weights);
    const auto rounded = [&] {
      for (std::size_t i = 0; i < weights.size(); ++i) {
        const float nearest = simgr::float_from_bf16(simgr::bf16_from_float(masters[i]));
        REQUIRE(weights[i] == nearest);
        REQUIRE(mixed.masters()[i] == masters[i]);
      }
    };
    rounded();
    std::size_t apart = 0;
    for (int step = 1; step <= 5; ++step) {
      const auto wide = wave(table, 0.7 * step);
      const std::vector<float> gradients(wide.begin(), wide.end());
      plain.step(table, masters, gradients, config.rate, 0.5);
      mixed.step(table, weights, gradients, config.rate, 0.5);
      rounded();
    }
    for (std::size_t i = 0; i < weights.size(); ++i) { apart += weights[i] != masters[i] ? 1 : 0; }
    CHECK(apart > weights.size() / 2);
  }
}

TEST_CASE("steps too small for bfloat16 add up in the masters") {
  const simgr::ParameterTable table = simgr::lay_out({{"weight", {1}, 0, 1, {}}});
  const OptimizerConfig config{.kind = Optimizer::sgd, .momentum = 0};
  std::vector<float> weights(static_cast<std::size_t>(table.block_size));
  weights[0] = 1;
  const std::vector<float> gradients(weights.size(), 1.0f);
  OptimizerState<float> mixed(config, table.trained_size);
  mixed.keep_masters(weights);
  for (int step = 0; step < 3; ++step) { mixed.step(table, weights, gradients, 0x1p-11); }
  CHECK(weights[0] == 1);  // below 1 numbers are 2^-8 apart
  for (int step = 3; step < 5; ++step) { mixed.step(table, weights, gradients, 0x1p-11); }
  CHECK(weights[0] == 1 - 0x1p-8f);
}
