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

#include <simgr/catalogue.hpp>
#include <simgr/core/error.hpp>
#include <simgr/core/executor.hpp>
#include <simgr/core/fields.hpp>
#include <simgr/cpu/cpu.hpp>
#include <simgr/data/batcher.hpp>
#include <simgr/data/split.hpp>
#include <simgr/encoder/item_embedding.hpp>
#include <simgr/encoder/transformer.hpp>
#include <simgr/train/optimizer.hpp>
#include <simgr/train/report.hpp>
#include <simgr/train/self_supervision.hpp>

namespace simgr::SIMGR_ABI::train {

/// Every token is asked for each of them, and a file's numbers are not to decide what memory that takes.
inline constexpr Index most_attributes = 65536;

struct PretrainOptions {
  Index epochs = 100;
  std::uint64_t seed = 1;
  Index batch = 100;   // prefixes a step
  Index per_user = 0;  // of a user's prefixes, those that an epoch draws; 0: all
  Index shards = 2;    // parts of a batch that may run at once; results depend on their number
  double share = 0.2;  // of the items of a prefix but its last, which is hidden always
  double rate = 1e-3;  // of Adam
  SelfSupervisionWeights weights{};

  template <class F, class C>
  static void for_each_field(C& c, F&& f) {
    f(Field{"epochs", 0, 1e6, "passes over the training sequences before the next item is learnt"},
      c.epochs);
    f(Field{"seed", 0, 9.2e18, "of order, masks, segments and negatives"}, c.seed);
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

}  // namespace detail

/// Trains the encoder of a model by S3-Rec's four tasks, reading sequences both ways, before fit()
/// teaches it the next item; what else those need is thrown away. Only training sequences are read, also
/// for the segments of others.
///
/// @param attributes  of every item, in ascending order, numbers from 0 on; no items: tasks of attributes
///                    are left out
/// @param observer    called with every PretrainReport
///
/// Results  the same bits for any executor
/// Errors   ConfigError: an option out of range;  DataError: attributes of another number of items, a
///          negative one, no example, a loss that is not finite
template <class Model, class Observer = Silent, Executor X = const Serial>
void pretrain(Model& model, RaggedView<std::int32_t> attributes, const data::Split& split,
              const PretrainOptions& options, Observer&& observer = {}, X&& executor = {}) {
  using Stack = TransformerEncoder<MaskedItemEmbedding, Bidirectional, PostNorm, GeluErf>;
  using Parts = SelfSupervision<Stack>;
  if (const std::string sentence = out_of_range(options); !sentence.empty()) {
    SIMGR_THROW(ConfigError("pretraining." + sentence));
  }
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
  const ParameterTable table = describe<Parts>(config);
  std::vector<float> weights(static_cast<std::size_t>(table.block_size));
  initialise(table, std::span<float>(weights), options.seed);
  detail::copy_shared_tensors(model.table(), std::as_const(model).weights(), table, weights);
  const auto params = bind<Parts>(config, weights.data());

  data::Batcher batcher(split.train, Examples::every_prefix, model.config().encoder.max_length,
                        options.seed, options.per_user);
  if (batcher.examples() == 0) {
    SIMGR_THROW(DataError("split.train: no user has two items to learn from"));
  }
  struct Shard {
    Arena arena;
    std::vector<float> gradient;
    typename Parts::template Params<float> grads;
    typename Parts::template Cache<float> cache;
    SelfSupervisionBatch batch;
    double loss = 0;
  };
  std::vector<Shard> shards(static_cast<std::size_t>(options.shards));
  for (Shard& shard : shards) {
    shard.gradient.assign(weights.size(), 0.0f);
    shard.grads = bind<Parts>(config, shard.gradient.data());
  }
  OptimizerState<float> optimizer({.kind = Optimizer::adam, .rate = options.rate},
                                  table.trained_size);
  std::uint64_t step = 0;
  data::Batch read;
  std::vector<ItemId> whole;
  for (Index epoch = 0; epoch < options.epochs; ++epoch) {
    batcher.begin_epoch(epoch);
    double loss = 0;
    for (Index begin = 0; begin < batcher.examples(); begin += options.batch, ++step) {
      const Index count = std::min(options.batch, batcher.examples() - begin);
      for (Shard& shard : shards) { shard.batch.clear(); }
      batcher.fill(begin, count, read);
      Rng rng(options.seed ^ 0x73656c66ULL, step);
      for (Index i = 0; i < count; ++i) {
        const std::span<const ItemId> history = read.history[i];
        whole.assign(history.begin(), history.end());
        whole.push_back(read.targets[static_cast<std::size_t>(i)]);
        shards[static_cast<std::size_t>(i * options.shards / count)].batch.add(
            whole, split.train.values, options.share, model.items(), rng);
      }
      executor.for_each(options.shards, [&](Index s) {
        Shard& shard = shards[static_cast<std::size_t>(s)];
        shard.loss = 0;
        if (shard.batch.examples() > 0) {
          shard.arena.reset();
          cpu::Context ctx{shard.arena, true, options.seed, step,
                           static_cast<std::uint32_t>(s) << 16};
          shard.loss = Parts::template step<float, Host>(
              config, params, shard.grads, shard.batch, attributes,
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
    if constexpr (requires { observer(PretrainReport{}); }) {
      observer(PretrainReport{epoch + 1, options.epochs,
                              loss / static_cast<double>(batcher.examples())});
    }
  }
  detail::copy_shared_tensors(table, weights, model.table(), model.weights());
  model.refresh();
}

}  // namespace simgr::SIMGR_ABI::train
