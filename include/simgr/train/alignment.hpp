// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <simgr/core/error.hpp>
#include <simgr/core/rng.hpp>
#include <simgr/cpu/cpu.hpp>
#include <simgr/encoder/history_tokens.hpp>
#include <simgr/loss/token_cross_entropy.hpp>
#include <simgr/task.hpp>

namespace simgr::SIMGR_ABI::train {

/// Tasks that tie ids to texts, beside the next item: LC-Rec's. An epoch has one example of every item
/// with a text, or of every user, for each task; a step takes the share of them that it takes of the
/// next items. The prompt of an example is one of the wordings of its task, drawn; of a user, a
/// prefix is drawn.
///
/// @tparam Model  a Recommender over prompts
/// @tparam Tasks  of task.hpp
///
/// Source  Zheng et al. 2024 (LC-Rec), section III-C; wordings, shares and that outputs are the tables
///         of inputs are ours
template <class Model, class... Tasks>
class Alignment {
public:
  using E = typename Model::EncoderType;
  static_assert(E::reads_prompts,
                "simgr: tasks that align ids and texts need an Encoder over prompts, such as "
                "CausalLm<PromptEmbedding, …>");

  /// @throws ConfigError  the catalogue has no texts, or no wording of a task
  Alignment(const Model& model, RaggedView<ItemId> sequences, std::uint64_t seed)
      : model_(model), sequences_(sequences), seed_(seed) {
    const Prompt& prompt = model.catalogue().prompt;
    if (prompt.texts.sequences() == 0) {
      SIMGR_THROW(
          ConfigError("catalogue.prompt.texts: tasks that align ids and texts read those of "
                      "all items, and there are none; without them train with alignment = 0"));
    }
    (add_task<Tasks>(prompt), ...);
  }

  void begin_epoch(Index epoch) {
    epoch_ = epoch;
    for (std::size_t k = 0; k < tasks_.size(); ++k) {
      std::sort(tasks_[k].order.begin(), tasks_[k].order.end());
      Rng rng(seed_, 0x616c69676eULL + (static_cast<std::uint64_t>(epoch) << 8) + k);
      rng.shuffle(std::span<std::int32_t>(tasks_[k].order));
    }
  }

  struct Cache {
    typename E::template Cache<float> encoder;
  };
  /// Questions and their answers but for the last token of each.
  struct Batch {
    std::vector<std::int32_t> tokens;
    std::vector<Index> offsets{0};
    std::vector<std::int32_t> targets, places;  // tokens, and the token whose state predicts each
  };

  /// The examples that belong to `first` to `last` of `all` next items.
  Batch examples(Index first, Index last, Index all, cpu::Context& ctx) const {
    Batch batch;
    for (const OneTask& task : tasks_) {
      const auto count = static_cast<Index>(task.order.size());
      for (Index i = count * first / all; i < count * last / all; ++i) {
        add_example(task, i, batch, ctx);
      }
    }
    return batch;
  }

  /// Adds the gradient of the mean loss of a token, over the examples that belong to `first` to `last` of
  /// `all` next items, times `weight`; returns that.
  template <class Parts, class Params, class Shared, class Into>
  double add(const typename Parts::Config& config, const Params& params, const Params& grads,
             const Shared& shared, const Into& into, Index first, Index last, Index all,
             float weight, Cache& cache, cpu::Context& ctx) const {
    const Batch batch = examples(first, last, all, ctx);
    if (batch.targets.empty()) {
      return 0;
    }
    Arena::Scope scope(ctx.arena);
    const Matrix<float> states =
        E::forward_tokens(config.encoder, params.encoder, shared.rows,
                          {batch.tokens, batch.offsets}, cache.encoder, ctx);
    const auto rows = static_cast<Index>(batch.targets.size());
    const Matrix<float> read = ctx.take<float>(rows, states.cols()),
                        dread = ctx.take<float>(rows, states.cols()),
                        dstates = ctx.take<float>(states.rows(), states.cols());
    const std::span<const std::int32_t> places(batch.places);
    gather_rows(ctx, MatrixArg<float>(states), places, read);
    const auto& tables = params.encoder.embedding;
    const double value = token_cross_entropy<float, Host>(
        read, tables.words, shared.rows, batch.targets, weight / static_cast<float>(rows), dread,
        words_gradient(config, grads.encoder.embedding), into.rows, ctx);
    fill(ctx, dstates, 0.0f);
    scatter_add_rows(ctx, MatrixArg<float>(dread), places, 1.0f, dstates);
    E::backward(config.encoder, params.encoder, grads.encoder, MatrixArg<float>(dstates), into.rows,
                cache.encoder, ctx);
    return value;
  }

private:
  struct OneTask {
    bool reads_history, reads_ids, predicts_text;
    std::vector<const Prompt::Wording*> wordings;
    std::vector<std::int32_t> order;  // items, or users
  };
  template <class Task>
  void add_task(const Prompt& prompt) {
    OneTask task{Task::reads_history, Task::reads_ids, Task::predicts_text, {}, {}};
    for (const Prompt::OfTask& each : prompt.tasks) {
      if (each.task == Task::name) {
        task.wordings.push_back(&each.wording);
      }
    }
    if (task.wordings.empty()) {
      SIMGR_THROW(ConfigError("catalogue.prompt.tasks: no wording of " + std::string(Task::name)));
    }
    const Index count = task.reads_history ? sequences_.sequences() : model_.items();
    for (Index i = 0; i < count; ++i) {
      if (task.reads_history ? sequences_[i].size() > 1 : !prompt.texts[i].empty()) {
        task.order.push_back(static_cast<std::int32_t>(i));
      }
    }
    tasks_.push_back(std::move(task));
  }

  void add_example(const OneTask& task, Index place, Batch& batch, cpu::Context& ctx) const {
    Arena::Scope scope(ctx.arena);
    const Prompt& prompt = model_.catalogue().prompt;
    const std::int32_t of = task.order[static_cast<std::size_t>(place)];
    Rng rng(seed_ ^ 0x776f7264ULL, (static_cast<std::uint64_t>(epoch_) << 32) +
                                       static_cast<std::uint64_t>(of) * 8 +
                                       static_cast<std::uint64_t>(&task - tasks_.data()));
    const Prompt::Wording& wording = *task.wordings[static_cast<std::size_t>(
        rng.below(static_cast<Index>(task.wordings.size())))];
    ItemId target = of;
    std::span<const ItemId> read(&target, 1);
    if (task.reads_history) {
      const std::span<const ItemId> sequence = sequences_[of];
      const auto end =
          static_cast<std::size_t>(1 + rng.below(static_cast<Index>(sequence.size()) - 1));
      target = sequence[end];
      const auto longest = static_cast<std::size_t>(model_.config().encoder.max_length);
      read = sequence.subspan(end - std::min(end, longest), std::min(end, longest));
    }
    auto shape = model_.config().encoder.embedding_shape();
    ItemsView<> items = model_.items_view();
    items.prompt = PromptView(wording, task.reads_ids,
                              task.reads_ids ? RaggedView<std::int32_t>() : prompt.texts.view());
    std::vector<std::int32_t> answer;
    if (task.predicts_text) {
      const auto words = prompt.texts[target];
      answer.assign(words.begin(), words.end());
    } else {
      for (Index l = 0; l < items.digit_rows.cols(); ++l) {
        answer.push_back(
            static_cast<std::int32_t>(shape.catalogue.words + items.digit_rows(target, l)));
      }
    }
    // The answer needs its room; a prompt of no item would teach nothing.
    shape.catalogue.around = items.prompt.around();
    shape.own.longest -=
        std::max<Index>(0, static_cast<Index>(answer.size()) - items.digit_rows.cols());
    if (answer.empty() || shape.own.longest < shape.catalogue.around) {
      return;
    }
    const Index ends[] = {0, static_cast<Index>(read.size())};
    const HistoryTokens question = E::EmbeddingType::lay_out(shape, items, {read, ends}, {}, ctx);
    batch.tokens.insert(batch.tokens.end(), question.rows.begin(), question.rows.end());
    for (const std::int32_t token : answer) {
      batch.places.push_back(static_cast<std::int32_t>(batch.tokens.size()) - 1);
      batch.targets.push_back(token);
      batch.tokens.push_back(token);
    }
    batch.tokens.pop_back();  // nothing reads the last one
    batch.offsets.push_back(static_cast<Index>(batch.tokens.size()));
  }

  /// Empty where words are frozen.
  template <class Config, class Tables>
  static Matrix<float> words_gradient(const Config& config, const Tables& grads) {
    if constexpr (std::is_same_v<decltype(grads.words), Matrix<float>>) {
      return config.encoder.embedding_shape().frozen ? Matrix<float>() : grads.words;
    } else {
      return {};
    }
  }

  const Model& model_;
  RaggedView<ItemId> sequences_;
  std::uint64_t seed_;
  Index epoch_ = 0;
  std::vector<OneTask> tasks_;
};

/// In place of it, where the next item is all that is learnt.
struct NoAlignment {
  struct Cache {};
};

namespace detail {

template <class Model, class Tasks, class... Kept>
struct AlignmentOf;
template <class Model>
struct AlignmentOf<Model, TaskMix<>> {
  using Type = NoAlignment;
};
template <class Model, class First, class... Rest, class... Kept>
struct AlignmentOf<Model, TaskMix<First, Rest...>, Kept...>
    : std::conditional_t<AlignmentTask<First>, AlignmentOf<Model, TaskMix<Rest...>, Kept..., First>,
                         AlignmentOf<Model, TaskMix<Rest...>, Kept...>> {};
template <class Model, class One, class... Kept>
struct AlignmentOf<Model, TaskMix<>, One, Kept...> {
  using Type = Alignment<Model, One, Kept...>;
};

}  // namespace detail

/// What of the tasks of a model is learnt by Alignment.
template <class Model>
using AlignmentFor = typename detail::AlignmentOf<Model, typename Model::TasksType>::Type;

}  // namespace simgr::SIMGR_ABI::train
