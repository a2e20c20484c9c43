// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <span>
#include <string_view>

#include <simgr/core/arena.hpp>
#include <simgr/core/fields.hpp>
#include <simgr/core/parameter.hpp>
#include <simgr/cpu/optimizer_step.hpp>

namespace simgr::SIMGR_ABI::train {

/// What turns a gradient into a step.
///
///   adamw    Adam with decoupled decay:  w -= rate · decay · w, then the step
///   adam     Adam; decay is a term of the gradient (classic L2)
///   sgd      velocity = momentum · velocity + g;  w -= rate · velocity
///   adagrad  sum += g²;  w -= rate · g / (sqrt(sum) + epsilon)
enum class Optimizer { adamw, adam, sgd, adagrad };

constexpr std::array<std::string_view, 4> names_of(Optimizer) noexcept {
  return {"adamw", "adam", "sgd", "adagrad"};
}

/// What weights are while they are trained.
///
///   fp32   floats
///   mixed  numbers of bfloat16, rounded after every step from masters, which are floats
enum class Precision { fp32, mixed };

constexpr std::array<std::string_view, 2> names_of(Precision) noexcept {
  return {"fp32", "mixed"};
}

/// An optimiser and its numbers, checked by OptimizerState.
struct OptimizerConfig {
  Optimizer kind = Optimizer::adamw;
  double rate = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0;
  double momentum = 0.9;

  template <class F, class C>
  static void for_each_field(C& c, F&& f) {
    f(Field{"kind", 0, 3, "what turns a gradient into a step; adam has classic L2 decay"}, c.kind);
    f(Field{"rate", 0, 100, "learning rate before the schedule"}, c.rate);
    f(Field{"beta1", 0, 0.9999, "Adam: memory of the mean"}, c.beta1);
    f(Field{"beta2", 0, 0.999999, "Adam: memory of the mean square"}, c.beta2);
    f(Field{"epsilon", 1e-20, 1, "Adam, Adagrad: added to the root"}, c.epsilon);
    f(Field{"weight_decay", 0, 10, "pull towards zero, on tensors that decay"}, c.weight_decay);
    f(Field{"momentum", 0, 0.9999, "SGD: memory of the velocity"}, c.momentum);
  }
};

/// The memory of an optimiser over the trained part of a block of parameters, and its step.
///
/// Moments have the layout of the gradients: Adam keeps two blocks (mean, mean square), Adagrad one,
/// SGD one, or none without momentum. All begin at zero. Decay touches only tensors of
/// `Decay::yes`. Bias corrections are computed in double from the number of steps, so a restored
/// state goes on with the same bits.
///
/// Cost    one pass over weights, gradients and moments; no allocation after construction
/// Errors  ConfigError when a field of the config is out of its range
/// Source  Kingma & Ba 2015, algorithm 1; Loshchilov & Hutter 2019, algorithm 2; Duchi et al. 2011,
///         diagonal form. Where epsilon stands and how momentum begins follow torch.optim.
template <class T>
class OptimizerState {
public:
  OptimizerState(const OptimizerConfig& config, Index trained_size)
      : config_(config), size_(trained_size) {
    if (const std::string sentence = out_of_range(config); !sentence.empty()) {
      SIMGR_THROW(ConfigError("optimizer." + sentence));
    }
    memory_ = Arena(static_cast<std::size_t>(moment_count() * (size_ + 16)) * sizeof(T));
    for (Index i = 0; i < moment_count(); ++i) {
      moments_[i] = memory_.take<T, 1>({size_});
      std::fill(moments_[i].begin(), moments_[i].end(), T{});
    }
  }

  /// From now on weights are numbers of bfloat16, nearest to masters that are kept here and moved in
  /// their place: a step too small to show is not lost. They keep their room as floats.
  ///
  /// Cost  one block of memory; one pass a step more
  void keep_masters(std::span<T> weights) {
    SIMGR_ASSERT(static_cast<Index>(weights.size()) >= size_, "weights of another block");
    master_memory_ = Arena(static_cast<std::size_t>(size_ + 16) * sizeof(T));
    masters_ = master_memory_.take<T, 1>({size_});
    std::copy(weights.begin(), weights.begin() + size_, masters_.begin());
    cpu::round_to_bf16(masters_, Vector<T>{weights.data(), {size_}});
  }
  /// What a checkpoint writes and restores, too; empty where the weights are their own.
  std::span<T> masters() noexcept { return masters_.span(); }
  std::span<const T> masters() const noexcept { return masters_.span(); }

  /// Moves the weights one step along the gradients.   [table.trained_size] or more
  ///
  /// @param rate            learning rate of this step, schedule included
  /// @param gradient_scale  multiplies every gradient first: the factor of norm clipping, or
  ///                        1 / accumulated batches
  void step(const ParameterTable& table, std::span<T> weights,
            std::span<const std::type_identity_t<T>> gradients, double rate,
            double gradient_scale = 1) {
    SIMGR_ASSERT(table.trained_size == size_, "optimizer state of another block");
    SIMGR_ASSERT(static_cast<Index>(weights.size()) >= size_, "weights of another block");
    SIMGR_ASSERT(static_cast<Index>(gradients.size()) >= size_, "gradients of another block");
    ++steps_;
    // Neighbouring tensors of one group, gaps included, are one run: gaps are zero in every block and
    // stay zero.
    const auto& tensors = table.tensors;
    const auto trained = static_cast<std::size_t>(table.trained_tensors().size());
    T* const moved = masters_.empty() ? weights.data() : masters_.data();
    for (std::size_t first = 0, next = 0; first < trained; first = next) {
      const bool decays = tensors[first].decay == Decay::yes;
      while (next < trained && tensors[next].decay == tensors[first].decay) { ++next; }
      const Index begin = tensors[first].offset;
      const Index end = next < trained ? tensors[next].offset : size_;
      step_run({moved + begin, {end - begin}}, {gradients.data() + begin, {end - begin}}, begin,
               rate, gradient_scale, decays ? config_.weight_decay : 0);
    }
    if (!masters_.empty()) {
      cpu::round_to_bf16(masters_, Vector<T>{weights.data(), {size_}});
    }
  }

  Index moment_count() const noexcept {
    switch (config_.kind) {
    case Optimizer::adamw:
    case Optimizer::adam:
      return 2;
    case Optimizer::sgd:
      return config_.momentum > 0 ? 1 : 0;
    case Optimizer::adagrad:
      return 1;
    }
    return 0;
  }
  /// Block `i` of the memory, in the layout of the weights: what a checkpoint writes and restores.
  std::span<T> moments(Index i) noexcept { return moments_[i].span(); }
  std::span<const T> moments(Index i) const noexcept { return moments_[i].span(); }

  std::int64_t steps() const noexcept { return steps_; }
  void set_steps(std::int64_t steps) noexcept { steps_ = steps; }
  const OptimizerConfig& config() const noexcept { return config_; }

private:
  void step_run(Vector<T> weights, VectorArg<T> gradients, Index begin, double rate,
                double gradient_scale, double decay) noexcept {
    const bool decoupled = config_.kind == Optimizer::adamw;
    const cpu::GradientTerms<T> terms{static_cast<T>(gradient_scale),
                                      static_cast<T>(decoupled ? 0 : decay)};
    const auto moment = [&](Index i) { return moments_[i].slice(begin, weights.size()); };
    const T step_size = static_cast<T>(rate);
    const T epsilon = static_cast<T>(config_.epsilon);
    switch (config_.kind) {
    case Optimizer::adamw:
    case Optimizer::adam: {
      const double t = static_cast<double>(steps_);
      const cpu::AdamTerms<T> adam{
          .beta1 = static_cast<T>(config_.beta1),
          .beta2 = static_cast<T>(config_.beta2),
          .rate = static_cast<T>(rate / (1 - std::pow(config_.beta1, t))),
          .correction = static_cast<T>(1 / std::sqrt(1 - std::pow(config_.beta2, t))),
          .epsilon = epsilon,
          .keep = static_cast<T>(decoupled ? 1 - rate * decay : 1)};
      cpu::adam_step(weights, gradients, moment(0), moment(1), terms, adam);
      break;
    }
    case Optimizer::sgd:
      if (config_.momentum > 0) {
        cpu::momentum_step(weights, gradients, moment(0), terms, step_size,
                           static_cast<T>(config_.momentum));
      } else {
        cpu::sgd_step(weights, gradients, terms, step_size);
      }
      break;
    case Optimizer::adagrad:
      cpu::adagrad_step(weights, gradients, moment(0), terms, step_size, epsilon);
      break;
    }
  }

  OptimizerConfig config_;
  Index size_ = 0;
  std::int64_t steps_ = 0;
  Arena memory_, master_memory_;
  Vector<T> moments_[2], masters_;
};

}  // namespace simgr::SIMGR_ABI::train
