// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <simgr/core/error.hpp>
#include <simgr/core/executor.hpp>
#include <simgr/core/fields.hpp>
#include <simgr/core/parameter.hpp>
#include <simgr/cpu/cpu.hpp>
#include <simgr/data/batcher.hpp>
#include <simgr/data/split.hpp>
#include <simgr/train/optimizer.hpp>
#include <simgr/train/report.hpp>
#include <simgr/train/stage_file.hpp>

namespace simgr::SIMGR_ABI::train {

namespace detail {

/// Tensors of `to` that are also in `from`.
inline void copy_shared_tensors(const ParameterTable& from, std::span<const float> from_block,
                                const ParameterTable& to, std::span<float> to_block) {
  for (const TensorEntry& tensor : to.tensors) {
    for (const TensorEntry& same : from.tensors) {
      if (same.name == tensor.name) {
        SIMGR_ASSERT(same.size == tensor.size, "the same tensor of two sizes");
        std::copy_n(from_block.begin() + same.offset, same.size, to_block.begin() + tensor.offset);
      }
    }
  }
}

/// Trains `Parts` on the prefixes of split.train by Adam, from those weights of a model that they have
/// in common, by name, and gives these back; what else Parts has is thrown away.
///
/// @tparam Parts    Config, Params, Cache and for_each_parameter
/// @tparam Batch    what a part of a batch reads: clear(), examples()
/// @param  options  epochs, seed, batch, per_user, shards, rate
/// @param  add      (Batch&, history, target, Rng&): one example more
/// @param  step     (params, grads, batch, weight, cache, ctx) -> Σ_examples loss · weight; gradients
///                  accumulate
/// @param  file     where the stage is kept after every epoch, and goes on from
///
/// Results  the same bits for any executor
/// Errors   ConfigError: an option out of range;  DataError: no example, a loss that is not finite
template <class Parts, class Batch, class Model, class Options, class Add, class Step,
          class Observer, class X>
void run_pretraining(Model& model, const typename Parts::Config& config, const data::Split& split,
                     const Options& options, Add&& add, Step&& step, Observer&& observer,
                     X&& executor, const StageFile& file) {
  if (const std::string sentence = out_of_range(options); !sentence.empty()) {
    SIMGR_THROW(ConfigError("pretraining." + sentence));
  }
  const ParameterTable table = describe<Parts>(config);
  std::vector<float> weights(static_cast<std::size_t>(table.block_size));
  initialise(table, std::span<float>(weights), options.seed);
  copy_shared_tensors(model.table(), std::as_const(model).weights(), table, weights);
  const auto params = bind<Parts>(config, weights.data());

  data::Batcher batcher(split.train, Examples::every_prefix, model.config().encoder.max_length,
                        options.seed, {.per_user = options.per_user});
  if (batcher.examples() == 0) {
    SIMGR_THROW(DataError("split.train: no user has two items to learn from"));
  }
  struct Shard {
    Arena arena;
    std::vector<float> gradient;
    typename Parts::template Params<float> grads;
    typename Parts::template Cache<float> cache;
    Batch batch;
    double loss = 0;
  };
  std::vector<Shard> shards(static_cast<std::size_t>(options.shards));
  for (Shard& shard : shards) {
    shard.gradient.assign(weights.size(), 0.0f);
    shard.grads = bind<Parts>(config, shard.gradient.data());
  }
  OptimizerState<float> optimizer({.kind = Optimizer::adam, .rate = options.rate},
                                  table.trained_size);
  const Index begun = file.try_restore(table, weights, optimizer).value_or_raise();
  auto steps = static_cast<std::uint64_t>(optimizer.steps());
  data::Batch read;
  for (Index epoch = begun; epoch < options.epochs; ++epoch) {
    batcher.begin_epoch(epoch);
    double loss = 0;
    for (Index begin = 0; begin < batcher.examples(); begin += options.batch, ++steps) {
      const Index count = std::min(options.batch, batcher.examples() - begin);
      for (Shard& shard : shards) { shard.batch.clear(); }
      batcher.fill(begin, count, read);
      Rng rng(options.seed ^ 0x73656c66ULL, steps);
      for (Index i = 0; i < count; ++i) {
        add(shards[static_cast<std::size_t>(i * options.shards / count)].batch, read.history[i],
            read.targets[static_cast<std::size_t>(i)], rng);
      }
      executor.for_each(options.shards, [&](Index s) {
        Shard& shard = shards[static_cast<std::size_t>(s)];
        shard.loss = 0;
        if (shard.batch.examples() > 0) {
          shard.arena.reset();
          cpu::Context ctx{shard.arena, true, options.seed, steps,
                           static_cast<std::uint32_t>(s) << 16};
          shard.loss = step(params, shard.grads, std::as_const(shard.batch),
                            1.0 / static_cast<double>(count), shard.cache, ctx);
        }
      });
      std::vector<float>& sum = shards.front().gradient;
      for (std::size_t s = 1; s < shards.size(); ++s) {
        std::transform(sum.begin(), sum.end(), shards[s].gradient.begin(), sum.begin(),
                       std::plus<>());
        std::fill(shards[s].gradient.begin(), shards[s].gradient.end(), 0.0f);
      }
      double of_step = 0;
      for (const Shard& shard : shards) { of_step += shard.loss; }
      if (!std::isfinite(of_step)) {
        SIMGR_THROW(DataError("pre-training: the loss is not finite in epoch " +
                              std::to_string(epoch + 1) + "; a smaller rate"));
      }
      loss += of_step * static_cast<double>(count);
      optimizer.step(table, weights, sum, options.rate);
      std::fill(sum.begin(), sum.end(), 0.0f);
    }
    if (const Failure failure = file.try_keep(epoch + 1, table, weights, optimizer)) {
      raise(*failure);
    }
    if constexpr (requires { observer(PretrainReport{}); }) {
      observer(PretrainReport{epoch + 1, options.epochs,
                              loss / static_cast<double>(batcher.examples())});
    }
  }
  copy_shared_tensors(table, weights, model.table(), model.weights());
  model.refresh();
}

}  // namespace detail
}  // namespace simgr::SIMGR_ABI::train
