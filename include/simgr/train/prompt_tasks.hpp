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
#include <simgr/loss/negatives.hpp>
#include <simgr/loss/token_cross_entropy.hpp>
#include <simgr/task.hpp>
#include <simgr/train/fit_options.hpp>
#include <simgr/train/task_examples.hpp>

namespace simgr::SIMGR_ABI::train {

/// Tasks that are asked in words, beside the next item: LC-Rec's, which tie ids to texts, and IIRG's, an
/// item's neighbours by their ids. An epoch has one example of every item with a text or with
/// neighbours, or of every user, for each task. The prompt of an example is one of the wordings of its
/// task, drawn; of a user, a prefix is drawn.
///
/// @tparam Model  a Recommender over prompts
/// @tparam Tasks  of task.hpp
///
/// A text ends with the end of a text, where the prompt has one and the text is whole.
///
/// Tokens are predicted over words and the rows of items together, by the tables that the embedding has
/// for outputs.
///
/// Source  Zheng et al. 2024 (LC-Rec), section III-C; IIRG (arXiv 2606.17276); wordings and shares are ours
template <class Model, class... Tasks>
class PromptTasks {
public:
  using E = typename Model::EncoderType;
  static_assert(E::reads_prompts,
                "simgr: tasks that align ids and texts need an Encoder over prompts, such as "
                "CausalLm<PromptEmbedding, …>");

  /// Errors  ConfigError: the catalogue has no texts, no neighbours, or no wording of a task;
  ///         DataError: a neighbour that is no item
  PromptTasks(const Model& model, RaggedView<ItemId> sequences, const FitOptions& options)
      : model_(model), sequences_(sequences), seed_(options.seed), most_(options.neighbours) {
    (add_task<Tasks>(options), ...);
  }

  void begin_epoch(Index epoch) {
    epoch_ = epoch;
    for (std::size_t k = 0; k < tasks_.size(); ++k) {
      tasks_[k].examples.begin_epoch(seed_, epoch, static_cast<Index>(k));
    }
  }

  struct Cache {
    typename E::template Cache<float> encoder;
  };
  /// Questions and their answers but for the last token of each, task by task.
  struct Batch {
    std::vector<std::int32_t> tokens;
    std::vector<Index> offsets{0};
    std::vector<std::int32_t> targets, places;  // tokens, and the token whose state predicts each
    std::vector<float> weights;                 // [targets], those of the tasks
  };

  /// The examples that belong to `first` to `last` of `all` next items -> tokens they predict
  Index fill(Index first, Index last, Index all, Batch& batch, cpu::Context& ctx) const {
    batch = {};
    for (const OneTask& task : tasks_) {
      for (const std::int32_t of : task.examples.share(first, last, all)) {
        add_example(task, of, batch, ctx);
      }
      batch.weights.resize(batch.targets.size(), static_cast<float>(task.weight));
    }
    return static_cast<Index>(batch.targets.size());
  }

  /// Adds the gradient of Σ of the losses of tokens, each times `weight` and its task's; returns that.
  template <class Params, class Shared, class Into>
  double add(const Params& grads, const Shared& shared, const Into& into, const LossBatch&,
             const Batch& batch, double weight, Cache& cache, cpu::Context& ctx) const {
    return losses(model_.config(), model_.params(), grads, shared.rows, into.rows, batch,
                  static_cast<float>(weight), cache.encoder, ctx);
  }
  /// The same for any parameters, in any scalar.
  ///
  /// @param rows, drows  of the embedding, and where their gradient is added up
  template <class T>
  static double losses(const typename Model::Config& config,
                       const typename Model::Parts::template Params<T>& params,
                       const typename Model::Parts::template Params<T>& grads, Matrix<const T> rows,
                       Matrix<T> drows, const Batch& batch, T weight,
                       typename E::template Cache<T>& cache, cpu::Context& ctx) {
    if (batch.targets.empty()) {
      return 0;
    }
    Arena::Scope scope(ctx.arena);
    const Matrix<T> states = E::forward_tokens(config.encoder, params.encoder, MatrixArg<T>(rows),
                                               {batch.tokens, batch.offsets}, cache, ctx);
    const auto count = static_cast<Index>(batch.targets.size());
    const Matrix<T> read = ctx.take<T>(count, states.cols()),
                    dread = ctx.take<T>(count, states.cols()),
                    dstates = ctx.take<T>(states.rows(), states.cols());
    const std::span<const std::int32_t> places(batch.places), targets(batch.targets);
    gather_rows(ctx, MatrixArg<T>(states), places, read);
    const auto& tables = params.encoder.embedding;
    const bool untied = !tables.outputs.empty();
    double value = 0;
    for (Index first = 0, last = 0; first < count; first = last) {  // of one weight
      const float of_task = batch.weights[static_cast<std::size_t>(first)];
      while (last < count && batch.weights[static_cast<std::size_t>(last)] == of_task) { ++last; }
      value += token_cross_entropy<T, Host>(
          read.slice(first, last - first), tables.word_outputs(),
          untied ? MatrixArg<T>(tables.outputs) : MatrixArg<T>(rows),
          targets.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(last - first)),
          weight * static_cast<T>(of_task), dread.slice(first, last - first),
          words_gradient<T>(config, grads.encoder.embedding),
          untied ? grads.encoder.embedding.outputs : drows, ctx);
    }
    cpu::fill(ctx, dstates, T(0));
    scatter_add_rows(ctx, MatrixArg<T>(dread), places, T(1), dstates);
    E::backward(config.encoder, params.encoder, grads.encoder, MatrixArg<T>(dstates), drows, cache,
                ctx);
    return value;
  }

private:
  struct OneTask {
    bool reads_history, reads_ids, predicts_text;
    const Ragged<ItemId>* lists;  // of neighbours; null: it predicts one item, or its text
    double weight;
    std::vector<const Prompt::Wording*> wordings;
    TaskExamples examples;  // items, or users
  };
  template <class Task>
  void add_task(const FitOptions& options) {
    const Prompt& prompt = model_.catalogue().prompt;
    OneTask task{};
    if constexpr (is_neighbour_task<Task>) {
      static_assert(Model::autoregressive,
                    "simgr: over prompts, tasks of neighbours need a model that spells items");
      task = {false, true, false, &Task::lists(model_.catalogue().relations), Task::weight(options),
              {},    {}};
    } else {
      task = {Task::reads_history,
              Task::reads_ids,
              Task::predicts_text,
              nullptr,
              options.alignment,
              {},
              {}};
    }
    if (task.weight > 0) {
      if (task.lists != nullptr) {
        require_lists(Task::name, *task.lists, model_.items());
      } else if (prompt.texts.sequences() == 0) {
        SIMGR_THROW(
            ConfigError("catalogue.prompt.texts: tasks that align ids and texts read those of "
                        "all items, and there are none; without them train with alignment = 0"));
      }
      for (const Prompt::OfTask& each : prompt.tasks) {
        if (each.task == Task::name) {
          task.wordings.push_back(&each.wording);
        }
      }
      if (task.wordings.empty()) {
        SIMGR_THROW(
            ConfigError("catalogue.prompt.tasks: no wording of " + std::string(Task::name)));
      }
      if (task.lists != nullptr) {
        require_room(task);
      }
      const Index count = task.reads_history ? sequences_.sequences() : model_.items();
      for (Index i = 0; i < count; ++i) {
        if (task.reads_history      ? sequences_[i].size() > 1
            : task.lists != nullptr ? !(*task.lists)[i].empty()
                                    : !prompt.texts[i].empty()) {
          task.examples.of.push_back(static_cast<std::int32_t>(i));
        }
      }
    }
    tasks_.push_back(std::move(task));
  }

  /// That a prompt holds an item, the words of any wording, and the item's whole list.
  void require_room(const OneTask& task) const {
    Index listed = 0, around = 0;
    for (Index item = 0; item < task.lists->sequences(); ++item) {
      listed = std::max(listed, std::min<Index>(most_, std::ssize((*task.lists)[item])));
    }
    for (const Prompt::Wording* wording : task.wordings) {
      around = std::max(around, std::ssize(wording->before) + std::ssize(wording->behind));
    }
    const Index least = around + (1 + listed) * model_.items_view().digit_rows.cols() - 1,
                longest = model_.config().encoder.embedding.longest;
    if (longest < least) {
      SIMGR_THROW(ConfigError("encoder.embedding.longest: an item with " + std::to_string(listed) +
                              " neighbours needs at least " + std::to_string(least) + ", found " +
                              std::to_string(longest)));
    }
  }

  void add_example(const OneTask& task, std::int32_t of, Batch& batch, cpu::Context& ctx) const {
    Arena::Scope scope(ctx.arena);
    const Prompt& prompt = model_.catalogue().prompt;
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
    const auto spell = [&](ItemId item) {
      for (Index l = 0; l < items.digit_rows.cols(); ++l) {
        answer.push_back(
            static_cast<std::int32_t>(shape.catalogue.words + items.digit_rows(item, l)));
      }
    };
    if (task.lists != nullptr) {
      const std::span<const ItemId> list = (*task.lists)[of];
      for (const ItemId item : list.first(std::min(list.size(), static_cast<std::size_t>(most_)))) {
        spell(item);
      }
    } else if (task.predicts_text) {
      const auto words = prompt.texts[target];
      answer.assign(words.begin(), words.end());
      // A text of as many words as texts were cut to may go on.
      const bool whole = prompt.longest_text == 0 || std::ssize(words) < prompt.longest_text;
      if (prompt.end >= 0 && whole && !answer.empty()) {
        answer.push_back(prompt.end);
      }
    } else {
      spell(target);
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
  template <class T, class Config, class Tables>
  static Matrix<T> words_gradient(const Config& config, const Tables& grads) {
    if constexpr (std::is_same_v<decltype(grads.words), Matrix<T>>) {
      return config.encoder.embedding_shape().frozen ? Matrix<T>() : grads.word_outputs();
    } else {
      return {};
    }
  }

  const Model& model_;
  RaggedView<ItemId> sequences_;
  std::uint64_t seed_;
  Index most_;  // neighbours of an item
  Index epoch_ = 0;
  std::vector<OneTask> tasks_;
};

}  // namespace simgr::SIMGR_ABI::train
