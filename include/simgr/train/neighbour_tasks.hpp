// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <simgr/catalogue.hpp>
#include <simgr/core/error.hpp>
#include <simgr/core/items_view.hpp>
#include <simgr/core/ragged.hpp>
#include <simgr/cpu/cpu.hpp>
#include <simgr/loss/negatives.hpp>
#include <simgr/task.hpp>
#include <simgr/train/fit_options.hpp>
#include <simgr/train/task_examples.hpp>

namespace simgr::SIMGR_ABI::train {

/// Examples of one task of neighbours, as tokens.
struct NeighbourExamples {
  static constexpr std::int32_t tag = -1;

  std::vector<std::int32_t> tokens;  // rows of the embedding, or `tag`
  std::vector<Index> offsets{0};     // [examples + 1]
  std::vector<std::int32_t> places;  // the tokens whose states predict: of an answer, or its digits
  // In place of those, where a decoder of its own spells answers: it has a state for every digit.
  std::vector<ItemId> asked;        // [examples]: what the encoder reads behind the tag
  std::vector<std::int32_t> known;  // rows of digits behind the decoder's start
  std::vector<Index> states{0};     // [examples + 1]: one more than `known` of each
  std::vector<ItemId> answers;      // [answers]: neighbours
  std::vector<ItemId> anchors;      // [answers]: whose neighbours

  void clear() noexcept {
    tokens.clear();
    offsets.resize(1);
    places.clear();
    asked.clear();
    known.clear();
    states.resize(1);
    answers.clear();
    anchors.clear();
  }
};

/// An item's neighbours as something to predict, by the stages of the model itself:
///
///   spelt           tag, digits of the item, digits of neighbour 1, …, of neighbour n, in one causal
///                   pass; every digit of a neighbour is predicted from all before it
///   by a decoder    its encoder reads tag, digits of the item; the decoder spells the neighbours, all
///                   in one sequence; where the encoder's end is compared with items, it is with each
///   not spelt       tag, item; the state of the item predicts each of its neighbours, as a history
///                   predicts the next item
///
/// The tag is a trained row that tells what is asked; the next item has none, so a model is served as
/// without the task. A semantic id has a known number of digits, so nothing stands between two or behind
/// the last one.
///
/// @tparam Parts  a Composition with tags
///
/// Source  IIRG (arXiv 2606.17276); a tag in place of a sentence is ours, and so are the models that
///         do not spell
template <class Parts>
struct NeighbourLists {
  using E = typename Parts::EncoderType;
  using Embedding = typename Parts::Embedding;
  /// Whether a decoder of its own spells what an encoder has read.
  static constexpr bool apart = requires { requires E::spells_lists; };
  static_assert(
      apart || (requires { requires E::reads_rows; } &&
                (Parts::autoregressive || Embedding::row_per_item)),
      "simgr: tasks of neighbours need an Encoder that reads any rows and spells items or has a "
      "token for each, such as TransformerEncoder<SemanticEmbedding, Causal>, "
      "EncoderDecoder<SemanticEmbedding> or TransformerEncoder<ItemEmbedding, Causal>");

  /// What an answer counts for in the mean over tokens.
  static Index tokens_per_answer(const typename Parts::Config& c) noexcept {
    return Parts::scores_digits ? c.encoder.catalogue.digits : 1;
  }
  /// Items of the longest history that has as many tokens as an item, its tag and `neighbours` of it,
  /// as far as places are learned for tokens: an encoder-decoder knows distances alone.
  static Index items_read(Index neighbours) noexcept {
    return apart ? 1 : Parts::autoregressive ? neighbours + 1 : 2;
  }

  /// Appends an item and its neighbours, if it has any. A loss that knows nothing of items which
  /// training never met is taught the others alone.
  template <class S>
  static void add_example(const ItemsView<S>& items, ItemId anchor,
                          std::span<const ItemId> neighbours, NeighbourExamples& to) {
    const std::size_t before = to.answers.size();
    for (const ItemId neighbour : neighbours) {
      if (!Parts::seen_targets ||
          !std::binary_search(items.unseen.begin(), items.unseen.end(), neighbour)) {
        to.answers.push_back(neighbour);
        to.anchors.push_back(anchor);
      }
    }
    const auto answers = std::span(to.answers).subspan(before);
    if (answers.empty()) {
      return;
    }
    const auto read = [&](ItemId item, std::vector<std::int32_t>& into) {
      if constexpr (Embedding::row_per_item) {
        into.push_back(item);
      } else {
        for (const std::int32_t row : items.digit_rows.row(item)) { into.push_back(row); }
      }
    };
    if constexpr (apart) {
      to.asked.push_back(anchor);
      for (const ItemId answer : answers) { read(answer, to.known); }
      to.known.pop_back();  // nothing is predicted from the last digit
      to.states.push_back(static_cast<Index>(to.known.size() + to.states.size()));
      return;
    }
    to.tokens.push_back(NeighbourExamples::tag);
    read(anchor, to.tokens);
    for (const ItemId answer : answers) {
      const auto last = static_cast<std::int32_t>(to.tokens.size()) - 1;
      if constexpr (Parts::autoregressive) {
        for (std::int32_t j = 0; j < items.digit_rows.cols(); ++j) {
          to.places.push_back(last + j);
        }
        read(answer, to.tokens);
      } else {
        to.places.push_back(last);
      }
    }
    if constexpr (Parts::autoregressive) {
      to.tokens.pop_back();
    }
    to.offsets.push_back(static_cast<Index>(to.tokens.size()));
  }

  /// Adds the gradients of weight · Σ_answers loss(answer) to `grad` and `into`; returns that sum.
  ///
  /// @param tag   the row of the parameters' tags
  /// @param next  the loss's view of the catalogue; its targets and history are not read
  template <class T, class S, class Ctx>
  static double value_and_gradient(const typename Parts::Config& c,
                                   const typename Parts::template Params<T, S>& p,
                                   const typename Parts::template Params<T, S>& grad,
                                   const typename Parts::template Shared<T, S>& shared,
                                   const typename Parts::template SharedGradient<T, S>& into,
                                   const ItemsView<S>& items, const NeighbourExamples& examples,
                                   Index tag, const LossBatch& next, T weight,
                                   typename Parts::template Cache<T, S>& cache, Ctx& ctx) {
    if (examples.answers.empty()) {
      return 0;
    }
    Arena::Scope scope(ctx.arena);
    const auto answers = static_cast<Index>(examples.answers.size());
    const Vector<Index, S> ends = ctx.template take<Index>(answers + 1);
    for (Index i = 0; i < ends.size(); ++i) { ends[i] = i; }
    LossBatch batch = next;
    batch.targets = examples.answers;
    batch.history = {examples.anchors, Offsets(ends.span())};
    batch.rows = {};
    double value = 0;
    const auto compared = [&](Matrix<T, S> states) {
      return Parts::compare(c, p, grad, shared, into, items, states, Offsets(ends.span()), batch,
                            weight, value, cache, ctx);
    };
    if constexpr (apart) {
      const Matrix<T, S> states = E::forward_lists(
          c.encoder, p.encoder, VectorArg<T, S>(p.tags.row(tag)), shared.rows, items,
          examples.asked, examples.known, Offsets(examples.states), cache.encoder, ctx);
      const Matrix<T, S> dstates = compared(states);
      E::backward_lists(c.encoder, p.encoder, grad.encoder, MatrixArg<T, S>(dstates),
                        grad.tags.row(tag), into.rows, cache.encoder, ctx);
    } else {
      const auto take = [&](Index rows) { return ctx.template take<T>(rows, c.encoder.width); };
      const Matrix<T, S> rows = take(static_cast<Index>(examples.tokens.size()));
      for (Index t = 0; t < rows.rows(); ++t) {
        const std::int32_t token = examples.tokens[static_cast<std::size_t>(t)];
        const MatrixArg<T, S> from =
            token == NeighbourExamples::tag ? p.tags.slice(tag, 1) : shared.rows.slice(token, 1);
        copy(ctx, from, rows.slice(t, 1), Write::assign);
      }
      // The rows of these tokens alone, in their order, are what the encoder takes for the embedding's.
      const Vector<std::int32_t, S> own = ctx.template take<std::int32_t>(rows.rows());
      for (Index t = 0; t < own.size(); ++t) { own[t] = static_cast<std::int32_t>(t); }
      const Matrix<T, S> states =
          E::forward_tokens(c.encoder, p.encoder, MatrixArg<T, S>(rows),
                            {std::span<const std::int32_t>(own.span()), Offsets(examples.offsets)},
                            cache.encoder, ctx);
      const std::span<const std::int32_t> places(examples.places);
      const Matrix<T, S> read = take(static_cast<Index>(places.size()));
      gather_rows(ctx, MatrixArg<T, S>(states), places, read);
      const Matrix<T, S> dread = compared(read);
      const Matrix<T, S> dstates = take(states.rows()), drows = take(rows.rows());
      fill(ctx, dstates, T(0));
      fill(ctx, drows, T(0));
      scatter_add_rows(ctx, MatrixArg<T, S>(dread), places, T(1), dstates);
      E::backward(c.encoder, p.encoder, grad.encoder, MatrixArg<T, S>(dstates), drows,
                  cache.encoder, ctx);
      for (Index t = 0; t < drows.rows(); ++t) {
        const std::int32_t token = examples.tokens[static_cast<std::size_t>(t)];
        copy(ctx, MatrixArg<T, S>(drows.slice(t, 1)),
             token == NeighbourExamples::tag ? grad.tags.slice(tag, 1) : into.rows.slice(token, 1),
             Write::add);
      }
    }
    return value;
  }
};

/// Tasks of neighbours of a model without prompts: an epoch has one example of every item that has
/// neighbours, for each task.
///
/// @tparam Model  a Recommender
/// @tparam Tasks  of task.hpp
template <class Model, class... Tasks>
class NeighbourTasks {
public:
  static_assert((is_neighbour_task<Tasks> && ...),
                "simgr: tasks that align ids and texts need an Encoder over prompts, such as "
                "CausalLm<PromptEmbedding, …>");
  using Parts = typename Model::Parts;
  using Lists = NeighbourLists<Parts>;
  using Cache = typename Parts::template Cache<float>;
  using Batch = std::vector<NeighbourExamples>;  // [tasks]

  /// Errors  ConfigError: a task without lists in the catalogue, or longer ones than the encoder
  ///         reads;  DataError: a neighbour that is no item
  NeighbourTasks(const Model& model, RaggedView<ItemId>, const FitOptions& options)
      : model_(model), seed_(options.seed), most_(options.neighbours) {
    (add_task(Tasks::name, Tasks::lists(model.catalogue().relations), Tasks::weight(options)), ...);
  }

  void begin_epoch(Index epoch) {
    for (std::size_t k = 0; k < tasks_.size(); ++k) {
      tasks_[k].examples.begin_epoch(seed_, epoch, static_cast<Index>(k));
    }
  }
  /// The examples that belong to `first` to `last` of `all` next items -> tokens they predict
  Index fill(Index first, Index last, Index all, Batch& batch, cpu::Context&) const {
    batch.resize(tasks_.size());
    Index answers = 0;
    for (std::size_t k = 0; k < tasks_.size(); ++k) {
      batch[k].clear();
      for (const std::int32_t item : tasks_[k].examples.share(first, last, all)) {
        Lists::add_example(model_.items_view(), item, list_of(tasks_[k], item), batch[k]);
      }
      answers += static_cast<Index>(batch[k].answers.size());
    }
    return answers * Lists::tokens_per_answer(model_.config());
  }
  /// Adds the gradient of Σ of the losses of tokens, each times `weight` and its task's; returns that.
  template <class Params, class Shared, class Into>
  double add(const Params& grads, const Shared& shared, const Into& into, const LossBatch& next,
             const Batch& batch, double weight, Cache& cache, cpu::Context& ctx) const {
    double value = 0;
    for (std::size_t k = 0; k < tasks_.size(); ++k) {
      const double of_answer = weight * tasks_[k].weight *
                               static_cast<double>(Lists::tokens_per_answer(model_.config()));
      value += Lists::template value_and_gradient<float, Host>(
          model_.config(), model_.params(), grads, shared, into, model_.items_view(), batch[k],
          static_cast<Index>(k), next, static_cast<float>(of_answer), cache, ctx);
    }
    return value;
  }

private:
  struct OneTask {
    const Ragged<ItemId>* lists;
    double weight;
    TaskExamples examples;  // items
  };
  std::span<const ItemId> list_of(const OneTask& task, ItemId item) const {
    const std::span<const ItemId> list = (*task.lists)[item];
    return list.first(std::min(list.size(), static_cast<std::size_t>(most_)));
  }
  void add_task(std::string_view name, const Ragged<ItemId>& lists, double weight) {
    OneTask task{&lists, weight, {}};
    if (weight > 0) {
      require_lists(name, lists, model_.items());
      Index longest = 0;
      for (Index item = 0; item < lists.sequences(); ++item) {
        const auto listed = static_cast<Index>(list_of(task, static_cast<ItemId>(item)).size());
        longest = std::max(longest, listed);
        if (listed > 0) {
          task.examples.of.push_back(static_cast<std::int32_t>(item));
        }
      }
      const auto& encoder = model_.config().encoder;
      if (longest > 0 && encoder.max_length < Lists::items_read(longest)) {
        SIMGR_THROW(ConfigError("encoder.max_length: an item with " + std::to_string(longest) +
                                " neighbours needs at least " +
                                std::to_string(Lists::items_read(longest)) + ", found " +
                                std::to_string(encoder.max_length)));
      }
    }
    tasks_.push_back(std::move(task));
  }

  const Model& model_;
  std::uint64_t seed_;
  Index most_;
  std::vector<OneTask> tasks_;
};

}  // namespace simgr::SIMGR_ABI::train
