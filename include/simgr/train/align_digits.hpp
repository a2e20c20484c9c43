// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <simgr/catalogue.hpp>
#include <simgr/core/executor.hpp>
#include <simgr/core/fields.hpp>
#include <simgr/cpu/cpu.hpp>
#include <simgr/task.hpp>
#include <simgr/train/clip.hpp>
#include <simgr/train/optimizer.hpp>
#include <simgr/train/prompt_tasks.hpp>
#include <simgr/train/report.hpp>
#include <simgr/train/schedule.hpp>
#include <simgr/train/stage_file.hpp>

namespace simgr::SIMGR_ABI::train {

/// Numbers of align_digits, checked by it. The seed is no field: who sets the others by name has one of
/// the training that follows.
struct AlignOptions {
  Index epochs = 10;
  std::uint64_t seed = 1;  // of order and wordings
  Index batch = 128;       // items a step
  Index shards = 2;        // parts of a batch that may run at once; results depend on their number
  double rate = 1e-3;      // of AdamW, falling by a cosine
  double warmup = 0.05;    // fraction of all steps in which the rate rises
  double clip = 1;         // largest norm of a gradient; 0: no limit

  template <class F, class C>
  static void for_each_field(C& c, F&& f) {
    f(Field{"epochs", 0, 1e6, "passes over the items' texts before the next item is learnt"},
      c.epochs);
    f(Field{"batch", 1, 1e7, "items a step"}, c.batch);
    f(Field{"shards", 1, 1024, "parts of a batch that may run at once"}, c.shards);
    f(Field{"rate", 0, 100, "learning rate before the schedule"}, c.rate);
    f(Field{"warmup", 0, 1, "fraction of all steps in which the rate rises"}, c.warmup);
    f(Field{"clip", 0, 1e9, "largest norm of a gradient; 0: no limit"}, c.clip);
  }
};

namespace detail {

/// A model as tasks read it, with a language model that takes no gradient, where it can be told so.
template <class Model>
class HeldModel {
public:
  using EncoderType = typename Model::EncoderType;
  using Config = typename Model::Config;
  using Parts = typename Model::Parts;
  static constexpr bool autoregressive = Model::autoregressive;

  explicit HeldModel(const Model& model) : model_(model), config_(model.config()) {
    if constexpr (requires { requires EncoderType::adapted; }) {
      config_.encoder.adapters.frozen = true;
      config_.encoder.adapters.dropout = 0;
    }
  }
  const Config& config() const noexcept { return config_; }
  const auto& params() const noexcept { return model_.params(); }
  const Catalogue& catalogue() const noexcept { return model_.catalogue(); }
  ItemsView<> items_view() const noexcept { return model_.items_view(); }
  Index items() const noexcept { return model_.items(); }

private:
  const Model& model_;
  Config config_;
};

/// A tensor in two blocks.
struct MovedTensor {
  Index weights = 0, gradient = 0, size = 0;  // where it begins in each
};

}  // namespace detail

/// Whether align_digits can teach a model: one over prompts that sees the past alone and whose items are
/// digits.
template <class Model>
inline constexpr bool aligns_digits = [] {
  using E = typename Model::EncoderType;
  if constexpr (requires { requires E::reads_prompts && E::causal; }) {
    return Model::Parts::Embedding::needs_ids;
  } else {
    return false;
  }
}();

/// Teaches the rows of the digits what a language model means by the items' texts, before fit() teaches
/// the next item: each item's id by its text (ItemToIndex), and no other weight moves.
///
/// Where the encoder has adapters, a language model that fit() will train takes no gradient here, either.
///
/// @param observer  called with every PretrainReport; the loss is that of a token
/// @param file      where the stage is kept after every epoch, and goes on from
///
/// Cost     of an epoch: a pass over all texts, forward and backward; memory of the gradients of what the
///          encoder trains over a frozen language model, or of all weights where it has no adapters, once
///          a shard
/// Results  the same bits for any executor
/// Errors   ConfigError: an option out of range; a catalogue without texts or a wording of the task;
///          DataError: a loss that is not finite, a file of another stage
/// Source   IIRG's (arXiv 2606.17276) released pipeline: task, what is trained, and the options' numbers
template <class Model, class Observer = Silent, Executor X = const Serial>
void align_digits(Model& model, const AlignOptions& options, Observer&& observer = {},
                  X&& executor = {}, const StageFile& file = {}) {
  static_assert(
      aligns_digits<Model>,
      "simgr: aligning digits needs an Encoder over prompts that sees the past alone, such "
      "as CausalLm<PromptEmbedding, …>");
  using Parts = typename Model::Parts;
  using Held = detail::HeldModel<Model>;
  using Embedding = typename Parts::Embedding;
  using Task = PromptTasks<Held, ItemToIndex>;
  if (const std::string sentence = out_of_range(options); !sentence.empty()) {
    SIMGR_THROW(ConfigError("aligning." + sentence));
  }
  const Held held(model);
  const auto shape = held.config().encoder.embedding_shape();
  FitOptions of_task;
  of_task.seed = options.seed;
  Task task(held, {}, of_task);

  const ParameterTable table = describe<Parts>(held.config());
  ParameterTable moved;  // the rows of the digits
  std::vector<detail::MovedTensor> places;
  for (const TensorEntry& tensor : table.trained_tensors()) {
    const bool of_words =
        tensor.name == "encoder.embedding.table" || tensor.name == "encoder.embedding.head";
    if (tensor.name.starts_with("encoder.embedding.") && !of_words) {
      for (const TensorEntry& own : model.table().tensors) {
        if (own.name == tensor.name) {
          places.push_back({own.offset, tensor.offset, tensor.size});
        }
      }
      moved.tensors.push_back(tensor);
      moved.tensors.back().offset = moved.block_size;
      moved.block_size += tensor.size;
    }
  }
  moved.trained_size = moved.block_size;
  std::vector<float> weights(static_cast<std::size_t>(moved.block_size)), gradient(weights.size());

  struct Shard {
    Arena arena;
    std::vector<float> gradient;
    typename Parts::template Params<float> grads;
    typename Task::Batch batch;
    typename Task::Cache cache;
    double loss = 0;
  };
  std::vector<Shard> shards(static_cast<std::size_t>(options.shards));
  for (Shard& shard : shards) {
    shard.gradient.assign(static_cast<std::size_t>(table.trained_size), 0.0f);
    shard.grads = bind_trained<Parts>(held.config(), shard.gradient.data());
  }
  OptimizerState<float> optimizer({.rate = options.rate, .beta2 = 0.95}, moved.trained_size);
  const ScheduleConfig schedule{.kind = Schedule::cosine, .warmup = options.warmup};
  const Index items = model.items(), steps = (items + options.batch - 1) / options.batch;
  const auto each_tensor = [&](auto&& visit) {  // where it begins in the weights, and in the model
    for (std::size_t t = 0; t < places.size(); ++t) {
      visit(weights.begin() + moved.tensors[t].offset, model.weights().begin() + places[t].weights,
            places[t].size);
    }
  };
  each_tensor([](auto own, auto of_model, Index size) { std::copy_n(of_model, size, own); });
  const Index begun = file.try_restore(moved, weights, optimizer).value_or_raise();
  const auto publish = [&] {
    each_tensor([](auto own, auto of_model, Index size) { std::copy_n(own, size, of_model); });
  };
  publish();
  for (Index epoch = begun, step = begun * steps; epoch < options.epochs; ++epoch) {
    task.begin_epoch(epoch);
    double loss = 0;
    Index tokens = 0;
    for (Index begin = 0; begin < items; begin += options.batch, ++step) {
      const Index count = std::min(options.batch, items - begin);
      const auto context = [&](Index s) {
        Arena& arena = shards[static_cast<std::size_t>(s)].arena;
        return cpu::Context{arena, true, options.seed, static_cast<std::uint64_t>(step),
                            static_cast<std::uint32_t>(s) << 16};
      };
      Index answers = 0;  // tokens
      for (Index s = 0; s < options.shards; ++s) {
        Shard& shard = shards[static_cast<std::size_t>(s)];
        shard.arena.reset();
        cpu::Context ctx = context(s);
        answers += task.fill(begin + count * s / options.shards,
                             begin + count * (s + 1) / options.shards, items, shard.batch, ctx);
      }
      if (answers == 0) {
        continue;  // items without a text
      }
      executor.for_each(options.shards, [&](Index s) {
        Shard& shard = shards[static_cast<std::size_t>(s)];
        std::fill(shard.gradient.begin(), shard.gradient.end(), 0.0f);
        cpu::Context ctx = context(s);
        const auto& params = held.params().encoder.embedding;
        const auto& grads = shard.grads.encoder.embedding;
        typename Embedding::template Cache<float> cache;
        struct {
          Matrix<const float> rows;
        } shared{
            Embedding::template rows<float, Host>(shape, params, held.items_view(), cache, ctx)};
        struct {
          Matrix<float> rows;
        } into{Embedding::template rows_gradient<float, Host>(shape, grads, ctx)};
        shard.loss = task.add(shard.grads, shared, into, LossBatch{}, shard.batch,
                              1 / static_cast<double>(answers), shard.cache, ctx);
        Embedding::template rows_backward<float, Host>(shape, params, grads, held.items_view(),
                                                       into.rows, cache, ctx);
      });
      double of_step = 0;
      for (const Shard& shard : shards) { of_step += shard.loss; }
      for (std::size_t t = 0; t < places.size(); ++t) {
        const Index at = moved.tensors[t].offset;
        for (Index i = 0; i < places[t].size; ++i) {
          float sum = 0;
          for (const Shard& shard : shards) {
            sum += shard.gradient[static_cast<std::size_t>(places[t].gradient + i)];
          }
          gradient[static_cast<std::size_t>(at + i)] = sum;
        }
      }
      const double norm = global_norm(std::span<const float>(gradient));
      if (!std::isfinite(of_step) || !std::isfinite(norm)) {
        SIMGR_THROW(DataError("aligning: the loss or its gradient is not finite in epoch " +
                              std::to_string(epoch + 1) + "; a smaller rate"));
      }
      optimizer.step(moved, weights, gradient,
                     options.rate * rate_multiplier(schedule, step, steps * options.epochs),
                     clip_factor(norm, options.clip));
      publish();
      loss += of_step * static_cast<double>(answers);
      tokens += answers;
    }
    if (const Failure failure = file.try_keep(epoch + 1, moved, weights, optimizer)) {
      raise(*failure);
    }
    if constexpr (requires { observer(PretrainReport{}); }) {
      observer(PretrainReport{epoch + 1, options.epochs,
                              loss / static_cast<double>(std::max<Index>(tokens, 1))});
    }
  }
  model.refresh();
}

}  // namespace simgr::SIMGR_ABI::train
