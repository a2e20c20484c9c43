// SPDX-License-Identifier: Apache-2.0
#include <charconv>
#include <vector>

#include <doctest/doctest.h>
#include <support/golden.hpp>

#include <simgr/train/clip.hpp>
#include <simgr/train/optimizer.hpp>
#include <simgr/train/schedule.hpp>

namespace {

using simgr::Decay;
using simgr::Index;
using simgr::train::Optimizer;
using simgr::train::OptimizerConfig;
using simgr::train::Schedule;
using simgr::train::ScheduleConfig;
using simgr_test::GoldenCase;

/// One run of the traces: how to drive our optimiser as the reference was driven.
struct Trace {
  std::string name;
  OptimizerConfig config;
  Decay bias_decay = Decay::no;
  double clip = 0;
  ScheduleConfig schedule = {};
};

std::vector<Trace> known_traces() {
  return {
      {"adamw", {.kind = Optimizer::adamw, .rate = 1e-2, .weight_decay = 1e-2}},
      {"adam", {.kind = Optimizer::adam, .rate = 1e-2, .beta2 = 0.98}},
      {"adam_l2", {.kind = Optimizer::adam, .rate = 1e-2, .weight_decay = 1e-2}, Decay::yes},
      {"adagrad", {.kind = Optimizer::adagrad, .rate = 0.4, .epsilon = 1e-10}},
      {"sgd_momentum", {.kind = Optimizer::sgd, .rate = 0.05, .momentum = 0.9}},
      {"adamw_warmup_cosine_clip",
       {.kind = Optimizer::adamw, .rate = 1e-2, .beta2 = 0.95, .weight_decay = 0.1},
       Decay::no,
       1.0,
       {.kind = Schedule::cosine, .warmup = 0.25}},
  };
}

/// Runs one trace in T and compares weights, bias, rates and norms after every step.
template <class T>
void check_trace(GoldenCase& golden, const Trace& trace, double tolerance) {
  const std::string output = "output." + trace.name + ".";
  const auto w0 = golden.tensor<T>("input.w0");
  const auto b0 = golden.tensor<T>("input.b0");
  const auto grad_w = golden.tensor<T>("input.grad_w");
  const auto grad_b = golden.tensor<T>("input.grad_b");
  const std::size_t w_size = w0.size(), b_size = b0.size();
  const std::size_t steps = grad_w.size() / w_size;

  const auto tensor = [](const char* name, std::size_t size, Decay decay) {
    const auto count = static_cast<Index>(size);
    return simgr::TensorEntry{name, {count}, 0, count, {}, decay};
  };
  const simgr::ParameterTable table =
      simgr::lay_out({tensor("w", w_size, Decay::yes), tensor("b", b_size, trace.bias_decay)});
  const auto b_offset = table.tensors[1].offset;

  std::vector<T> weights(static_cast<std::size_t>(table.block_size), T{});
  std::vector<T> gradients(weights.size(), T{});
  std::copy(w0.begin(), w0.end(), weights.begin());
  std::copy(b0.begin(), b0.end(), weights.begin() + b_offset);
  simgr::train::OptimizerState<T> state(trace.config, table.block_size);
  std::vector<T> all_w, all_b;
  std::vector<double> rates, norms;
  for (std::size_t step = 0; step < steps; ++step) {
    const auto from = [&](const std::vector<T>& all, std::size_t size) {
      return all.begin() + static_cast<Index>(step * size);
    };
    std::copy_n(from(grad_w, w_size), w_size, gradients.begin());
    std::copy_n(from(grad_b, b_size), b_size, gradients.begin() + b_offset);
    norms.push_back(simgr::train::global_norm(std::span<T>(gradients)));
    rates.push_back(trace.config.rate * simgr::train::rate_multiplier(trace.schedule,
                                                                      static_cast<Index>(step),
                                                                      static_cast<Index>(steps)));
    state.step(table, weights, gradients, rates.back(),
               simgr::train::clip_factor(norms.back(), trace.clip));
    all_w.insert(all_w.end(), weights.begin(), weights.begin() + static_cast<Index>(w_size));
    all_b.insert(all_b.end(), weights.begin() + b_offset,
                 weights.begin() + b_offset + static_cast<Index>(b_size));
  }
  golden.check(output + "w", all_w, tolerance);
  golden.check(output + "b", all_b, tolerance);
  golden.check(output + "lr_f64", rates, 1e-15);
  if (golden.has(output + "grad_norm")) {
    golden.check(output + "grad_norm", norms, 1e-6);
  }
}

/// "cosine.warmup3.total12_f64": the schedule, its warm-up and its length are in the name.
void check_schedule(GoldenCase& golden, const std::string& name) {
  const std::vector<std::pair<std::string, ScheduleConfig>> known = {
      {"constant", {.kind = Schedule::constant}},
      {"linear", {.kind = Schedule::linear}},
      {"cosine", {.kind = Schedule::cosine}},
      {"cosine_restarts2", {.kind = Schedule::cosine_restarts, .cycles = 2}},
      {"inverse_sqrt", {.kind = Schedule::inverse_root}},
      {"polynomial", {.kind = Schedule::polynomial, .power = 2, .end = 1e-7}},
  };
  const auto number_after = [&name](const std::string& word) {
    Index value = -1;
    const std::size_t at = name.find(word);
    if (at != std::string::npos) {
      std::from_chars(name.data() + at + word.size(), name.data() + name.size(), value);
    }
    return value;
  };
  for (auto [kind, config] : known) {
    if (!name.starts_with(kind + ".")) {
      continue;
    }
    config.warmup_steps = number_after(".warmup");
    const Index total = number_after(".total");
    std::vector<double> multipliers = golden.tensor<double>(name);
    for (std::size_t i = 0; i < multipliers.size(); ++i) {
      const auto step = static_cast<Index>(i);
      // The reference's cosine rises again after its end; ours stays at zero.
      if (config.kind != Schedule::cosine || step <= total) {
        multipliers[i] = simgr::train::rate_multiplier(config, step, total);
      } else {
        CHECK(simgr::train::rate_multiplier(config, step, total) == 0);
      }
    }
    golden.check(name, multipliers, 1e-14);
  }
}

}  // namespace

TEST_SUITE("golden") {
  TEST_CASE("optimisers and schedules follow the reference step by step") {
    simgr_test::GoldenFamily family("optimiser");
    for (GoldenCase& golden : family.cases()) {
      if (golden.has("input.grad_w")) {
        for (const Trace& trace : known_traces()) {
          if (golden.has("output." + trace.name + ".w")) {
            check_trace<double>(golden, trace, 1e-6);  // the traces are stored in float
            check_trace<float>(golden, trace, 5e-6);
          }
        }
      } else {
        for (const std::string& name : golden.tensors()) { check_schedule(golden, name); }
      }
    }
  }
}
