// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <limits>
#include <memory>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <simgr/catalogue.hpp>
#include <simgr/core/error.hpp>
#include <simgr/core/executor.hpp>
#include <simgr/core/type_name.hpp>
#include <simgr/cpu/cpu.hpp>
#include <simgr/data/split.hpp>
#include <simgr/eval/model.hpp>
#include <simgr/io/catalogue_file.hpp>
#include <simgr/io/model_file.hpp>
#include <simgr/item_keys.hpp>
#include <simgr/ranker/exhaustive.hpp>
#include <simgr/recommender.hpp>
#include <simgr/scratch_pool.hpp>
#include <simgr/train/fit_options.hpp>
#include <simgr/train/report.hpp>

namespace simgr::SIMGR_ABI::train {

/// Everybody gets the items with the most training interactions, ties by id: the line that every
/// other model must be above.
///
/// The interface of a Recommender, with scores that are counts (as floats): keys are [items, 1] and
/// every query is 1.
///
/// Errors  ConfigError: no items, or keys that are not one for each
class Popularity {
public:
  struct Config : NoFields {};

  explicit Popularity(Catalogue catalogue, Config = {}) : catalogue_(std::move(catalogue)) {
    settle_size(catalogue_);
    catalogue_.text_vectors = catalogue_.item_vectors = {};  // it reads none
    catalogue_.popularity.resize(static_cast<std::size_t>(catalogue_.items), 0);
    item_keys_ = ItemKeys(catalogue_.keys);
    refresh();
  }
  Popularity(Popularity&&) noexcept = default;
  Popularity& operator=(Popularity&&) noexcept = default;

  Index items() const noexcept { return catalogue_.items; }
  Index query_width() const noexcept { return 1; }
  const Catalogue& catalogue() const noexcept { return catalogue_; }
  const ItemKeys& item_keys() const noexcept { return item_keys_; }
  Config config() const noexcept { return {}; }
  Matrix<const float> keys() const noexcept { return counts_; }  // [items, 1]

  /// Counts split.train; reports one epoch to the observer. Only the observer and the executor are
  /// used: there is nothing to set.
  ///
  /// Errors  DataError: a split of another number of items
  template <class Observer = Silent, class X = const Serial>
  train::FitResult fit(const data::Split& split, const train::FitOptions& = {},
                       Observer&& observer = {}, X&& executor = {}) {
    const auto start = std::chrono::steady_clock::now();
    if (split.items != items()) {
      SIMGR_THROW(DataError("split: expected " + std::to_string(items()) + " items, found " +
                            std::to_string(split.items)));
    }
    catalogue_.popularity = data::popularity(split.train, items());
    refresh();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    train::EpochReport report{.epoch = 1, .epochs = 1, .seconds = seconds.count(), .best = true};
    report.loss = std::numeric_limits<double>::quiet_NaN();  // nothing is minimised
    report.tokens_per_second =
        static_cast<double>(split.train.tokens()) / std::max(seconds.count(), 1e-9);
    if (!split.validation.targets.empty()) {
      report.validation_ndcg10 =
          eval::evaluate_model(*this, split.validation, {.cutoffs = {10}}, executor)
              .at(10)
              .all.ndcg;
    }
    train::observe(observer, report);
    return {1, report.validation_ndcg10 ? 1 : 0, report.validation_ndcg10, seconds.count()};
  }

  /// 1 for every history: the query of everybody.   out [histories, 1]
  void encode(RaggedView<ItemId>, Matrix<float> out) const {
    std::fill(out.begin(), out.end(), 1.0f);
  }

  /// As Recommender::recommend; an empty history is a history like any other.
  ///
  /// Errors  DataError: an item of the history that is not one of the catalogue's
  std::vector<Recommended> recommend(std::span<const ItemId> history, Index k,
                                     const RecommendOptions& options = {}) const {
    std::vector<Recommended> list(static_cast<std::size_t>(std::clamp<Index>(k, 0, items())));
    list.resize(static_cast<std::size_t>(recommend(history, options, list)));
    return list;
  }
  Index recommend(std::span<const ItemId> history, const RecommendOptions& options,
                  std::span<Recommended> list) const {
    for (const ItemId item : history) {
      if (item < 0 || item >= items()) {
        SIMGR_THROW(DataError("history: item " + std::to_string(item) + " is not one of 0 to " +
                              std::to_string(items() - 1)));
      }
    }
    const auto scratch = scratch_->take();
    Arena::Scope scope(*scratch);
    cpu::Context ctx{*scratch};
    const auto one_row = [&](std::span<const ItemId> values, bool always) {
      const auto offsets = ctx.take<Index>(2);
      offsets[0] = 0;
      offsets[1] = static_cast<Index>(values.size());
      return always || !values.empty() ? RaggedView<ItemId>{values, Offsets(offsets.span())}
                                       : RaggedView<ItemId>{};
    };
    const ranker::ItemFilter filter{options.seen, one_row(history, true),
                                    one_row(options.deny, false), one_row(options.allow, false)};
    const Index places = std::min(static_cast<Index>(list.size()), items());
    const Matrix<ItemId> ids = ctx.take<ItemId>(1, places);
    const Matrix<float> scores = ctx.take<float>(1, places);
    const float one = 1;
    Index found = 0;
    ranker::rank_products(ctx, Matrix<const float>(&one, {1, 1}), keys(), filter, ids, scores,
                          Vector<Index>(&found, {1}));
    for (Index place = 0; place < found; ++place) {
      list[static_cast<std::size_t>(place)] = {ids(0, place), scores(0, place)};
    }
    return found;
  }

  /// A checkpoint with the catalogue in it; extra metadata as ModelFile::try_save.
  ///
  /// Errors  those of CheckpointWriter::try_set_own and try_write
  Failure try_save(const std::string& path, std::span<const io::MetadataEntry> extra = {}) const {
    io::CheckpointWriter writer;
    writer.set(io::type_key, type());
    io::add_catalogue(writer, catalogue_);
    if (Failure failure = writer.try_set_own(extra)) {
      return failure;
    }
    return writer.try_write(path, io::Keep::previous);
  }
  void save(const std::string& path) const {
    if (const Failure failure = try_save(path)) {
      raise(*failure);
    }
  }
  static Result<Popularity> try_load(const std::string& path) {
    auto checkpoint = io::Checkpoint::try_read(path);
    return checkpoint ? try_load(checkpoint.value()) : Result<Popularity>(checkpoint.error());
  }
  static Result<Popularity> try_load(const io::Checkpoint& checkpoint) {
    const std::string* found = checkpoint.find_text(io::type_key);
    if (found == nullptr || *found != type()) {
      return DataError("expected a popularity model, the file holds " +
                           (found == nullptr ? "another" : *found),
                       {.file = checkpoint.file(), .field = io::type_key});
    }
    auto catalogue = io::try_read_catalogue(checkpoint);
    if (!catalogue) {
      return catalogue.error();
    }
    if (catalogue->popularity.empty()) {  // nothing else in the file has to be as long as it claims
      return DataError("the file has no counts",
                       {.file = checkpoint.file(), .field = "catalogue/popularity"});
    }
    return Popularity(std::move(catalogue).value());
  }
  static Popularity load(const std::string& path) { return try_load(path).value_or_raise(); }
  /// What its files say of their type, as ModelFile::type().
  static std::string type() { return type_name<Popularity>(); }

private:
  void refresh() {
    counts_ = OwnedMatrix<float>(items(), 1);
    std::transform(catalogue_.popularity.begin(), catalogue_.popularity.end(),
                   counts_.values.begin(), [](Index count) { return static_cast<float>(count); });
  }

  Catalogue catalogue_;
  ItemKeys item_keys_;         // of catalogue_.keys
  OwnedMatrix<float> counts_;  // [items, 1]
  std::unique_ptr<ScratchPool<Arena>> scratch_ = std::make_unique<ScratchPool<Arena>>();
};

}  // namespace simgr::SIMGR_ABI::train
