// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <simgr/core/fields.hpp>
#include <simgr/core/matmul.hpp>
#include <simgr/ranker/seen_items.hpp>
#include <simgr/train/optimizer.hpp>
#include <simgr/train/schedule.hpp>

namespace simgr::SIMGR_ABI::train {

/// How a model is trained.
struct FitOptions {
  Index epochs = 20;
  std::uint64_t seed = 1;
  Index batch = 256;  // examples a step: users, or prefixes
  Index per_user =
      0;  // of models that learn from prefixes, those of a user that an epoch draws; 0: all
  bool sub_sequences = false;  // histories begin anywhere, drawn anew in every epoch
  Index accumulate = 1;        // batches whose gradients make one step
  Index shards = 2;  // parts of a batch that may run at once; results depend on their number
  Index evaluate_every = 1;  // epochs between evaluations on split.validation; 0: never
  Index patience = 0;        // evaluations without a better NDCG@10 before the end; 0: all epochs
  ranker::Seen seen = ranker::Seen::keep;  // of those, what becomes of items of the history
  // Weights of tasks besides the next item, where a model has them; 0: none.
  double alignment = 1;                    // of those that tie ids to texts
  double collaborative = 1, semantic = 1;  // of an item's neighbours
  Index neighbours = 5;                    // that are taught of an item
  double clip = 0;                         // largest norm of a gradient; 0: no limit
  double moving_average = 0;  // decay of the average of the weights that is evaluated and kept
  Precision precision = Precision::fp32;  // of trained weights
  MatMul matmul = MatMul::fp32;           // what products of a training step are made of
  OptimizerConfig optimizer{.rate = 1e-3};
  ScheduleConfig schedule{};

  template <class F, class C>
  static void for_each_field(C& c, F&& f) {
    f(Field{"epochs", 1, 1e6, "passes over the training sequences"}, c.epochs);
    f(Field{"seed", 0, 9.2e18, "of initial weights, order, dropout and negatives"}, c.seed);
    f(Field{"batch", 1, 1e7, "examples a step"}, c.batch);
    f(Field{"per_user", 0, 1e6,
            "prefixes of a user that an epoch draws, where prefixes are examples; 0: all"},
      c.per_user);
    f(Field{"sub_sequences", 0, 1,
            "histories begin at places that every epoch draws anew, not all at their first item"},
      c.sub_sequences);
    f(Field{"accumulate", 1, 1e6, "batches a step"}, c.accumulate);
    f(Field{"shards", 1, 1024, "parts of a batch that may run at once"}, c.shards);
    f(Field{"evaluate_every", 0, 1e6, "epochs between validations; 0: never"}, c.evaluate_every);
    f(Field{"patience", 0, 1e6, "validations without improvement before the end; 0: all epochs"},
      c.patience);
    f(Field{"seen", 0, 2, "what becomes of a history's items in those validations"}, c.seen);
    f(Field{"alignment", 0, 1e6, "weight of tasks that tie ids to texts, where a model has them"},
      c.alignment);
    f(Field{"collaborative", 0, 1e6,
            "weight of the task of collaborative neighbours, where a model has it"},
      c.collaborative);
    f(Field{"semantic", 0, 1e6, "weight of the task of semantic neighbours, where a model has it"},
      c.semantic);
    f(Field{"neighbours", 1, 1e6, "neighbours of an item that those tasks teach"}, c.neighbours);
    f(Field{"clip", 0, 1e9, "largest norm of a gradient; 0: no limit"}, c.clip);
    f(Field{"moving_average", 0, 0.999999, "decay of the averaged weights; 0: none"},
      c.moving_average);
    f(Field{"precision", 0, 1, "of trained weights; mixed: bfloat16, rounded from masters in fp32"},
      c.precision);
    f(Field{"matmul", 0, 2,
            "what products of training are made of, sums in fp32; bf16x3: as near as fp32, on AMX "
            "faster; bf16: rounded, faster still; elsewhere fp32"},
      c.matmul);
    fields_of("optimizer", c.optimizer, f);
    fields_of("schedule", c.schedule, f);
  }
};

/// The first broken rule, or empty.
inline std::string check(const FitOptions& options) {
  const std::string sentence = out_of_range(options);
  if (!sentence.empty()) {
    return sentence;
  }
  if (options.precision == Precision::mixed && options.moving_average > 0) {
    return "moving_average: expected 0 with the precision mixed, whose weights are no averages";
  }
  return check(options.schedule);
}

/// What a training run came to.
struct FitResult {
  Index epochs = 0;      // that were trained
  Index best_epoch = 0;  // 0 where nothing was evaluated
  std::optional<double> best_validation_ndcg10 = std::nullopt;
  double seconds = 0;                      // of training alone
  ranker::Seen seen = ranker::Seen::keep;  // in what was evaluated
};

}  // namespace simgr::SIMGR_ABI::train
