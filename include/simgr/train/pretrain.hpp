// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <simgr/catalogue.hpp>
#include <simgr/core/error.hpp>
#include <simgr/core/executor.hpp>
#include <simgr/core/fields.hpp>
#include <simgr/data/split.hpp>
#include <simgr/encoder/item_embedding.hpp>
#include <simgr/encoder/transformer.hpp>
#include <simgr/train/pretraining_loop.hpp>
#include <simgr/train/self_supervision.hpp>

namespace simgr::SIMGR_ABI::train {

/// Every token is asked for each of them, and a file's numbers are not to decide what memory that takes.
inline constexpr Index most_attributes = 65536;

struct PretrainOptions {
  Index epochs = 100;
  std::uint64_t seed = 1;  // of order, masks, segments and negatives
  Index batch = 100;       // prefixes a step
  Index per_user = 0;      // of a user's prefixes, those that an epoch draws; 0: all
  Index shards = 2;        // parts of a batch that may run at once; results depend on their number
  double share = 0.2;      // of the items of a prefix but its last, which is hidden always
  double rate = 1e-3;      // of Adam
  SelfSupervisionWeights weights{};

  template <class F, class C>
  static void for_each_field(C& c, F&& f) {
    f(Field{"epochs", 0, 1e6, "passes over the training sequences before the next item is learnt"},
      c.epochs);
    f(Field{"batch", 1, 1e7, "prefixes a step"}, c.batch);
    f(Field{"per_user", 0, 1e6, "prefixes of a user that an epoch draws; 0: all"}, c.per_user);
    f(Field{"shards", 1, 1024, "parts of a batch that may run at once"}, c.shards);
    f(Field{"share", 0, 1, "of a prefix's items that are hidden; the last always is"}, c.share);
    f(Field{"rate", 0, 100, "learning rate"}, c.rate);
    fields_of("weights", c.weights, f);
  }
};

namespace detail {

/// The same numbers under another mask: what reads both ways, of what reads the past alone.
template <class To, class From>
To as_config(const From& from) {
  To to;
  for (const FieldText& field : list_fields(from)) { set_field(to, field.name, field.value); }
  to.catalogue = from.catalogue;
  return to;
}

}  // namespace detail

/// Trains the encoder of a model by S3-Rec's four tasks, reading sequences both ways, before fit()
/// teaches it the next item; what else those need is thrown away. Only training sequences are read, also
/// for the segments of others.
///
/// @param attributes  of every item, in ascending order, numbers from 0 on; no items: tasks of attributes
///                    are left out
/// @param observer    called with every PretrainReport
/// @param file        where the stage is kept after every epoch, and goes on from
///
/// Results  the same bits for any executor
/// Errors   ConfigError: an option out of range;  DataError: attributes of another number of items, a
///          negative one, no example, a loss that is not finite, a file of another stage
template <class Model, class Observer = Silent, Executor X = const Serial>
void pretrain(Model& model, RaggedView<std::int32_t> attributes, const data::Split& split,
              const PretrainOptions& options, Observer&& observer = {}, X&& executor = {},
              const StageFile& file = {}) {
  using Stack = TransformerEncoder<MaskedItemEmbedding, Bidirectional, PostNorm, GeluErf>;
  using Parts = SelfSupervision<Stack>;
  if (attributes.sequences() != 0 && attributes.sequences() != model.items()) {
    SIMGR_THROW(DataError("attributes: expected those of " + std::to_string(model.items()) +
                          " items, found " + std::to_string(attributes.sequences())));
  }
  typename Parts::Config config{detail::as_config<typename Stack::Config>(model.config().encoder),
                                0, options.weights};
  for (const std::int32_t attribute : attributes.values) {
    if (attribute < 0) {
      SIMGR_THROW(
          DataError("attributes: expected numbers from 0 on, found " + std::to_string(attribute)));
    }
    config.attributes = std::max<Index>(config.attributes, Index{attribute} + 1);
  }
  if (config.attributes > most_attributes) {
    SIMGR_THROW(DataError("attributes: expected numbers below " + std::to_string(most_attributes) +
                          ", found " + std::to_string(config.attributes - 1)));
  }
  std::vector<ItemId> whole;
  detail::run_pretraining<Parts, SelfSupervisionBatch>(
      model, config, split, options,
      [&](SelfSupervisionBatch& batch, std::span<const ItemId> history, ItemId target, Rng& rng) {
        whole.assign(history.begin(), history.end());
        whole.push_back(target);
        batch.add(whole, split.train.values, options.share, model.items(), rng);
      },
      [&](const auto& params, const auto& grads, const SelfSupervisionBatch& batch, double weight,
          auto& cache, auto& ctx) {
        return Parts::template step<float, Host>(config, params, grads, batch, attributes, weight,
                                                 cache, ctx);
      },
      observer, executor, file);
}

}  // namespace simgr::SIMGR_ABI::train
