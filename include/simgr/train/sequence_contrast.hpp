// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <simgr/catalogue.hpp>
#include <simgr/composition.hpp>
#include <simgr/core/error.hpp>
#include <simgr/core/executor.hpp>
#include <simgr/core/fields.hpp>
#include <simgr/core/items_view.hpp>
#include <simgr/core/parameter.hpp>
#include <simgr/core/ragged.hpp>
#include <simgr/core/rng.hpp>
#include <simgr/data/split.hpp>
#include <simgr/io/tensor.hpp>
#include <simgr/nn/info_nce.hpp>
#include <simgr/train/pretraining_loop.hpp>

namespace simgr::SIMGR_ABI::train {

struct ContrastOptions {
  Index epochs = 300;
  std::uint64_t seed = 1;   // of order, dropout and dropped items
  Index batch = 2048;       // prefixes a step
  Index per_user = 0;       // of a user's prefixes, those that an epoch draws; 0: all
  Index shards = 2;         // parts of a batch that may run at once and know no negative of another
  double drop = 0.2;        // of the items of a prefix but its first
  double sequences = 1e-3;  // weight of telling sequences apart
  double rate = 1e-3;       // of Adam

  template <class F, class C>
  static void for_each_field(C& c, F&& f) {
    f(Field{"epochs", 0, 1e6, "passes over the training sequences before fine-tuning"}, c.epochs);
    f(Field{"batch", 1, 1e7, "prefixes a step, each other's negatives"}, c.batch);
    f(Field{"per_user", 0, 1e6, "prefixes of a user that an epoch draws; 0: all"}, c.per_user);
    f(Field{"shards", 1, 1024,
            "parts of a batch that may run at once, with negatives of their own"},
      c.shards);
    f(Field{"drop", 0, 0.99, "of a prefix's items that its second view lacks; the first stays"},
      c.drop);
    f(Field{"sequences", 0, 1e6, "weight of finding a prefix by its second view"}, c.sequences);
    f(Field{"rate", 0, 100, "learning rate"}, c.rate);
  }
};

/// Sequences, each with the item behind it. An example is two packed sequences: all that was read, and
/// the same without the items that were dropped.
struct ContrastBatch {
  Ragged<ItemId> sequences;
  std::vector<ItemId> targets;

  Index examples() const noexcept { return static_cast<Index>(targets.size()); }
  void clear() noexcept {
    sequences.clear();
    targets.clear();
  }
  /// @param drop  the share of items that the second view lacks; it keeps the first
  void add(std::span<const ItemId> history, ItemId target, double drop, Rng& rng) {
    sequences.push_back(history);
    kept_.clear();
    for (const ItemId item : history) {
      if (kept_.empty() || rng.uniform() >= drop) {
        kept_.push_back(item);
      }
    }
    sequences.push_back(kept_);
    targets.push_back(target);
  }

private:
  std::vector<ItemId> kept_;
};

/// UniSRec's pre-training as one differentiable function of one block of parameters: an encoder that
/// reads items by the vectors of their texts.
///
///   Σ_b InfoNCE(state_b, row of target_b) + sequences · InfoNCE(state_b, state of b's second view)
///
/// over cosines, the examples of a batch each other's negatives; those with the target of b are none
/// of b's.
///
/// Variant  an item has one row a batch, one draw of noise and dropout, where the authors draw for each
///          place; of their second views, nine in ten, which lack items: the others lack words of texts, of
///          which only a maker of vectors has the vectors. Left-out negatives count nothing, in their
///          code a constant
///
/// @tparam Stack  over an embedding that reads text vectors alone: embedding.item_rows false
///
/// Parameters  encoder
/// Cost        the rows of the batch's items, two sequences through the encoder, O(examples² · width)
/// Gradients   accumulate
/// Source      Hou et al. 2022 (UniSRec), section 2.3, and their published code
template <class Stack>
struct SequenceContrast {
  using Embedding = typename Stack::EmbeddingType;
  struct Config {
    typename Stack::Config encoder{};
    double temperature = 0.07, sequences = 1e-3;
  };
  template <class T, class S = Host>
  struct Params {
    typename Stack::template Params<T, S> encoder;
  };
  template <class T, class S = Host>
  struct Cache {
    typename Embedding::template Cache<T, S> items;
    typename Stack::template Cache<T, S> encoder;
  };
  template <class F, class... P>
  static void for_each_parameter(const Config& c, F&& f, P&... p) {
    Stack::for_each_parameter(c.encoder, under("encoder", f), p.encoder...);
  }

  /// Adds the gradients of weight · Σ_examples loss to `grad`; returns that sum.
  /// @param texts  [items, text width]
  template <class T, class S, class Ctx>
  static double step(const Config& c, const Params<T, S>& p, const Params<T, S>& grad,
                     const ContrastBatch& batch, Matrix<const float, S> texts, double weight,
                     Cache<T, S>& cache, Ctx& ctx) {
    using Places = std::span<const std::int32_t>;
    // Only the items of the batch are embedded: places among those from here on.
    std::vector<ItemId> known(batch.sequences.values);
    known.insert(known.end(), batch.targets.begin(), batch.targets.end());
    std::sort(known.begin(), known.end());
    known.erase(std::unique(known.begin(), known.end()), known.end());
    const auto places_of = [&](std::span<const ItemId> items) {
      std::vector<std::int32_t> places;
      places.reserve(items.size());
      for (const ItemId item : items) {
        const auto found = std::lower_bound(known.begin(), known.end(), item);
        places.push_back(static_cast<std::int32_t>(found - known.begin()));
      }
      return places;
    };
    const std::vector<std::int32_t> read = places_of(batch.sequences.values),
                                    asked = places_of(batch.targets);
    const auto count = static_cast<Index>(known.size()), examples = batch.examples();
    const Matrix<float, S> of_known = ctx.template take<float>(count, texts.cols());
    gather_rows(ctx, texts, std::span<const ItemId>(known), of_known);
    ItemsView<S> items{count, {}};
    items.text_vectors = of_known;
    typename Embedding::Shape shape = c.encoder.embedding_shape();
    shape.catalogue.items = count;

    const auto& of_items = p.encoder.embedding;
    const Matrix<const T, S> rows =
        Embedding::template rows<T, S>(shape, of_items, items, cache.items, ctx);
    const Matrix<T, S> states = Stack::template forward<T, S>(
        c.encoder, p.encoder, rows, items, {read, batch.sequences.offsets}, cache.encoder, ctx);
    std::vector<std::int32_t> ends[2];
    for (Index s = 0; s < 2 * examples; ++s) {
      ends[s % 2].push_back(
          static_cast<std::int32_t>(batch.sequences.offsets[static_cast<std::size_t>(s) + 1] - 1));
    }
    const auto take = [&] { return ctx.template take<T>(examples, c.encoder.width); };
    const Matrix<T, S> whole = take(), thinned = take(), target = take(), dwhole = take(),
                       dthinned = take(), dtarget = take();
    gather_rows(ctx, states, Places(ends[0]), whole);
    gather_rows(ctx, states, Places(ends[1]), thinned);
    gather_rows(ctx, rows, Places(asked), target);
    for (const Matrix<T, S>& none : {dwhole, dthinned, dtarget}) { fill(ctx, none, T(0)); }
    const InfoNce::Config contrast{c.temperature, false};
    const double loss =
        InfoNce::value_and_gradient<T, S>(contrast, whole, target, static_cast<T>(weight), dwhole,
                                          dtarget, ctx, batch.targets) +
        InfoNce::value_and_gradient<T, S>(contrast, whole, thinned,
                                          static_cast<T>(weight * c.sequences), dwhole, dthinned,
                                          ctx, batch.targets);

    const Matrix<T, S> dstates = ctx.template take<T>(states.rows(), states.cols());
    fill(ctx, dstates, T(0));
    scatter_add_rows(ctx, dwhole, Places(ends[0]), T(1), dstates);
    scatter_add_rows(ctx, dthinned, Places(ends[1]), T(1), dstates);
    const Matrix<T, S> drows = Embedding::template rows_gradient<T, S>(shape, of_items, ctx);
    scatter_add_rows(ctx, dtarget, Places(asked), T(1), drows);
    Stack::template backward<T, S>(c.encoder, p.encoder, grad.encoder, dstates, drows,
                                   cache.encoder, ctx);
    Embedding::template rows_backward<T, S>(shape, of_items, grad.encoder.embedding, items, drows,
                                            cache.items, ctx);
    return loss;
  }
};

namespace detail {

/// A model's encoder without what it has of each item.
template <class Model>
using ContrastOf = SequenceContrast<typename Model::EncoderType>;
template <class Model>
typename ContrastOf<Model>::Config contrast_of(const Model& model, double sequences) {
  typename ContrastOf<Model>::Config config{model.config().encoder,
                                            model.config().similarity.temperature, sequences};
  config.encoder.embedding.item_rows = false;
  return config;
}

}  // namespace detail

/// Trains the encoder of a UniSRec to find the item behind a history, and the history's second view,
/// among those of a batch, before fit() teaches it the catalogue. Items are their texts alone: rows that
/// a model has besides wait for fit(). The temperature is the model's.
///
/// Of one data set; the authors mix five others. One after the other they are taken by begin_with().
///
/// @param observer  called with every PretrainReport
/// @param file      where the stage is kept after every epoch, and goes on from
///
/// Results  the same bits for any executor
/// Errors   ConfigError: an option out of range;  DataError: no example, a loss that is not finite, a
///          file of another stage
template <class Model, class Observer = Silent, Executor X = const Serial>
void pretrain(Model& model, const data::Split& split, const ContrastOptions& options,
              Observer&& observer = {}, X&& executor = {}, const StageFile& file = {}) {
  using Parts = detail::ContrastOf<Model>;
  const typename Parts::Config config = detail::contrast_of(model, options.sequences);
  const auto texts = model.catalogue().text_vectors.view();
  detail::run_pretraining<Parts, ContrastBatch>(
      model, config, split, options,
      [&](ContrastBatch& batch, std::span<const ItemId> history, ItemId target, Rng& rng) {
        batch.add(history, target, options.drop, rng);
      },
      [&](const auto& params, const auto& grads, const ContrastBatch& batch, double weight,
          auto& cache, auto& ctx) {
        return Parts::template step<float, Host>(config, params, grads, batch, texts, weight, cache,
                                                 ctx);
      },
      observer, executor, file);
}

/// Begins a UniSRec with the weights of one of other items: all but the rows of items. Their texts'
/// vectors have to come of one maker.
///
/// Errors  ShapeError: a tensor of another shape, or one that either lacks; the model is as it was
template <class Model>
void begin_with(Model& model, const Model& other) {
  const auto shared_by = [](const Model& one) {
    return describe<detail::ContrastOf<Model>>(detail::contrast_of(one, 0));
  };
  const ParameterTable own = shared_by(model), theirs = shared_by(other);
  const auto text = [](const ParameterTable& table, std::size_t i) {
    return i < table.tensors.size()
               ? table.tensors[i].name + " " + io::shape_text(table.tensors[i].shape)
               : std::string("no tensor more");
  };
  for (std::size_t i = 0; i < std::max(own.tensors.size(), theirs.tensors.size()); ++i) {
    if (text(own, i) != text(theirs, i)) {
      SIMGR_THROW(ShapeError("weights to begin with: expected " + text(own, i) + ", found " +
                             text(theirs, i)));
    }
  }
  std::vector<float> weights(static_cast<std::size_t>(own.block_size));
  detail::copy_shared_tensors(other.table(), other.weights(), own, weights);
  detail::copy_shared_tensors(own, weights, model.table(), model.weights());
  model.refresh();
}

}  // namespace simgr::SIMGR_ABI::train
