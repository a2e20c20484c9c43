// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <simgr/core/parameter.hpp>
#include <simgr/cpu/cpu.hpp>

#include <support/processor_time.hpp>

// Central differences in double against what a backward pass says.

namespace simgr_test {

using simgr::Index;

struct Block {
  std::string name;
  std::span<double> values;          // what is varied
  std::span<const double> gradient;  // what the backward pass claims
};

inline std::vector<double> random_values(Index count, std::uint64_t seed, double deviation = 1) {
  simgr::Rng rng(seed, 77);
  std::vector<double> values(static_cast<std::size_t>(count));
  for (double& value : values) { value = deviation * rng.normal(); }
  return values;
}

/// Every element of every block against central differences of `loss` (every fifth in sanitized
/// builds, which look at memory and not at values):
///
///   |numeric - claimed| <= tolerance · max(1, |claimed|)
///
/// @return  the worst ratio
inline double compare_with_differences(const std::vector<Block>& blocks,
                                       const std::function<double()>& loss, double tolerance,
                                       double step = 1e-5) {
  constexpr std::size_t stride = slowness >= 20 ? 5 : 1;
  double worst = 0;
  for (const Block& block : blocks) {
    for (std::size_t i = 0; i < block.values.size(); i += stride) {
      const double at = block.values[i];
      volatile double high = at + step, low = at - step;
      block.values[i] = high;
      const double above = loss();
      block.values[i] = low;
      const double below = loss();
      block.values[i] = at;
      const double numeric = (above - below) / (high - low);
      const double error =
          std::abs(numeric - block.gradient[i]) / std::max(1.0, std::abs(block.gradient[i]));
      worst = std::max(worst, error);
      if (!(error <= tolerance)) {
        FAIL_CHECK(block.name << "[" << i << "]: backward says " << block.gradient[i]
                              << ", differences say " << numeric);
        return worst;
      }
    }
  }
  CHECK(worst <= tolerance);
  return worst;
}

/// Random numbers of deviation `spread` in every tensor of a layout, as it lies there.
inline std::vector<double> random_block(const simgr::ParameterTable& table, std::uint64_t seed,
                                        double spread = 1) {
  std::vector<double> block = random_values(table.block_size, seed, spread);
  for (const simgr::TensorEntry& tensor : table.tensors) {
    if (tensor.storage == simgr::Storage::bf16) {
      const std::vector<double> values = random_values(tensor.size, seed + 100, spread);
      auto* const to = reinterpret_cast<simgr::BFloat16*>(block.data() + tensor.offset);
      for (Index i = 0; i < tensor.size; ++i) {
        to[i].bits =
            simgr::bf16_from_float(static_cast<float>(values[static_cast<std::size_t>(i)]));
      }
    }
  }
  return block;
}

/// Checks a layer on a random input [rows, cols]:
///
///   forward(params, x, cache, ctx)          -> y
///   backward(params, grads, dy, cache, ctx) -> dx
///
/// The loss is a random projection of y; all trained parameters and all inputs are varied, and frozen
/// ones must have no gradient. Parameters are drawn anew from a normal of deviation `spread`, so that
/// no zero start hides a term.
template <class L, class Forward, class Backward>
double check_gradients(const typename L::Config& config, Index rows, Index cols, Forward&& forward,
                       Backward&& backward, double tolerance = 1e-8, double spread = 0.5) {
  const simgr::ParameterTable table = simgr::describe<L>(config);
  std::vector<double> weights = random_block(table, 1, spread);
  std::vector<double> gradients(weights.size(), 0.0);
  std::vector<double> x = random_values(rows * cols, 2);
  const auto params = simgr::bind<L>(config, weights.data());
  const auto grads = simgr::bind<L>(config, gradients.data());
  simgr::Arena arena;
  std::vector<double> projection;
  const auto run = [&](auto& cache, simgr::cpu::Context& ctx) {
    return forward(params, simgr::MatrixArg<double>(x.data(), {rows, cols}), cache, ctx);
  };
  std::vector<double> dx;
  {
    simgr::cpu::Context ctx{arena, true, 7, 3};
    typename L::template Cache<double> cache;
    const simgr::Matrix<double> y = run(cache, ctx);
    projection = random_values(y.size(), 3);
    const simgr::Matrix<double> d =
        backward(params, grads, simgr::MatrixArg<double>(projection.data(), y.shape()), cache, ctx);
    dx.assign(d.begin(), d.end());
  }
  const auto loss = [&] {
    arena.reset();
    simgr::cpu::Context ctx{arena, true, 7, 3};
    typename L::template Cache<double> cache;
    const simgr::Matrix<double> y = run(cache, ctx);
    double sum = 0;
    for (Index i = 0; i < y.size(); ++i) {
      sum += y.data()[i] * projection[static_cast<std::size_t>(i)];
    }
    return sum;
  };
  std::vector<Block> blocks;
  for (const simgr::TensorEntry& tensor : table.tensors) {
    const auto at = static_cast<std::size_t>(tensor.offset),
               size = static_cast<std::size_t>(tensor.room());
    if (tensor.trained == simgr::Trained::no) {
      const auto gradient = std::span<const double>(gradients).subspan(at, size);
      CHECK(std::all_of(gradient.begin(), gradient.end(), [](double value) { return value == 0; }));
      continue;
    }
    blocks.push_back({tensor.name, std::span(weights).subspan(at, size),
                      std::span<const double>(gradients).subspan(at, size)});
  }
  blocks.push_back({"x", x, dx});
  return compare_with_differences(blocks, loss, tolerance);
}

/// The same for a layer whose forward is L::forward(config, params, x, cache, ctx).
template <class L>
double check_gradients(const typename L::Config& config, Index rows, Index cols,
                       double tolerance = 1e-8) {
  return check_gradients<L>(
      config, rows, cols,
      [&](const auto& p, auto x, auto& cache, auto& ctx) {
        return L::forward(config, p, x, cache, ctx);
      },
      [&](const auto& p, const auto& g, auto dy, const auto& cache, auto& ctx) {
        return L::backward(config, p, g, dy, cache, ctx);
      },
      tolerance);
}

/// The same for a layer that looks at sequence boundaries.
template <class L>
double check_sequence_gradients(const typename L::Config& config, simgr::Offsets offsets,
                                Index cols, double tolerance = 1e-8) {
  return check_gradients<L>(
      config, offsets.back(), cols,
      [&](const auto& p, auto x, auto& cache, auto& ctx) {
        return L::forward(config, p, x, offsets, cache, ctx);
      },
      [&](const auto& p, const auto& g, auto dy, const auto& cache, auto& ctx) {
        return L::backward(config, p, g, dy, offsets, cache, ctx);
      },
      tolerance);
}

}  // namespace simgr_test
