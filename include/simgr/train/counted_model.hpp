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
#include <simgr/core/sparse_rows.hpp>
#include <simgr/core/type_name.hpp>
#include <simgr/cpu/cpu.hpp>
#include <simgr/data/split.hpp>
#include <simgr/eval/model.hpp>
#include <simgr/io/model_file.hpp>
#include <simgr/io/sparse_rows_file.hpp>
#include <simgr/item_keys.hpp>
#include <simgr/ranker/exhaustive.hpp>
#include <simgr/recommender.hpp>
#include <simgr/scratch_pool.hpp>
#include <simgr/train/fit_options.hpp>
#include <simgr/train/item_list.hpp>
#include <simgr/train/report.hpp>

namespace simgr::SIMGR_ABI::train {

/// Which items of a history have their rows of a table summed.
enum class HistoryRows { none, last_item, each_item };

/// A recommender that is counted, not trained: a table of what goes with what, the rows of which
/// are summed for a history, and the share of each item in all training interactions where the
/// table says nothing.
///
///   score(v) = prior · share(v) + Σ_h table(h, v),   h: the items of the history that are read,
///                                                    each once
///
/// The interface of a Recommender, but for query vectors. A history is all it knows of a user.
///
/// @tparam S   what is counted:
///               Config           with for_each_field
///               reads            HistoryRows; where none, there is no table
///               prior(config)
///               table(histories, items, config) -> SparseRows [items, items]
///
/// Errors  ConfigError: no items, keys that are not one for each, or a number out of its range
template <class S>
class CountedModel {
public:
  using Config = typename S::Config;

  explicit CountedModel(Catalogue catalogue, Config config = {})
      : CountedModel(std::move(catalogue), config, SparseRows{}) {}
  CountedModel(CountedModel&&) noexcept = default;
  CountedModel& operator=(CountedModel&&) noexcept = default;

  Index items() const noexcept { return catalogue_.items; }
  const Catalogue& catalogue() const noexcept { return catalogue_; }
  const ItemKeys& item_keys() const noexcept { return item_keys_; }
  const Config& config() const noexcept { return config_; }
  const SparseRows& table() const noexcept { return table_; }

  /// Counts split.train; reports one epoch to the observer. Of the options nothing is used.
  ///
  /// Errors  DataError: a split of another number of items
  template <class Observer = Silent, class X = const Serial>
  FitResult fit(const data::Split& split, const FitOptions& options = {}, Observer&& observer = {},
                X&& executor = {}) {
    const auto start = std::chrono::steady_clock::now();
    if (split.items != items()) {
      SIMGR_THROW(DataError("split: expected " + std::to_string(items()) + " items, found " +
                            std::to_string(split.items)));
    }
    data::require_known_items(split.train, items());
    catalogue_.popularity = data::popularity(split.train, items());
    if constexpr (S::reads != HistoryRows::none) {
      table_ = S::table(split.train.view(), items(), config_);
    }
    refresh();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    EpochReport report{.epoch = 1, .epochs = 1, .seconds = seconds.count(), .best = true};
    report.loss = std::numeric_limits<double>::quiet_NaN();  // nothing is minimised
    report.tokens_per_second =
        static_cast<double>(split.train.tokens()) / std::max(seconds.count(), 1e-9);
    if (!split.validation.targets.empty()) {
      report.validation_ndcg10 =
          eval::evaluate_model(*this, split.validation, {.seen = options.seen, .cutoffs = {10}},
                               executor)
              .at(10)
              .all.ndcg;
    }
    observe(observer, report);
    return {1, report.validation_ndcg10 ? 1 : 0, report.validation_ndcg10, seconds.count(),
            options.seen};
  }

  /// Scores of every item; items of the histories are trusted.   out [histories, items]
  void score(RaggedView<ItemId> histories, Matrix<float> out) const {
    const auto scratch = scratch_->take();
    cpu::Context ctx{*scratch};
    for (Index row = 0; row < histories.sequences(); ++row) {
      score(histories[row], out.row(row), ctx);
    }
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
    const auto scratch = scratch_->take();
    return list_items(
        *scratch, items(), history, options, list,
        [&](cpu::Context& ctx, const ranker::ItemFilter& filter, Matrix<ItemId> ids,
            Matrix<float> scores, Vector<Index> found) {
          ranker::rank_tiles(ctx, OfHistory{*this, history}, filter, ids, scores, found);
        });
  }

  /// A checkpoint with the catalogue and the table in it; extra metadata as ModelFile::try_save.
  ///
  /// Errors  those of CheckpointWriter::try_set_own and try_write
  Failure try_save(const std::string& path, std::span<const io::MetadataEntry> extra = {}) const {
    io::CheckpointWriter writer;
    io::add_head(writer, type(), config_, catalogue_);
    if constexpr (S::reads != HistoryRows::none) {
      io::add_sparse_rows(writer, "table", table_);
    }
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
  static Result<CountedModel> try_load(const std::string& path) {
    auto checkpoint = io::Checkpoint::try_read(path);
    return checkpoint ? try_load(checkpoint.value()) : Result<CountedModel>(checkpoint.error());
  }
  /// Errors  DataError, ShapeError or ConfigError: a damaged file, or one of another model
  static Result<CountedModel> try_load(const io::Checkpoint& checkpoint) {
    auto head = io::try_read_head<Config>(checkpoint, type());
    if (!head) {
      return head.error();
    }
    auto& [config, catalogue] = head.value();
    if (catalogue.popularity.empty()) {  // nothing else in the file has to be as long as it claims
      return DataError("the file has no counts",
                       {.file = checkpoint.file(), .field = "catalogue/popularity"});
    }
    SparseRows table;
    if constexpr (S::reads != HistoryRows::none) {
      auto rows = io::try_read_sparse_rows(checkpoint, "table", catalogue.items, catalogue.items);
      if (!rows) {
        return rows.error();
      }
      table = std::move(rows).value();
    }
    return CountedModel(std::move(catalogue), config, std::move(table));
  }
  static CountedModel load(const std::string& path) { return try_load(path).value_or_raise(); }
  /// What its files say of their type, as ModelFile::type().
  static std::string type() { return type_name<S>(); }

private:
  CountedModel(Catalogue catalogue, Config config, SparseRows table)
      : catalogue_(std::move(catalogue)), config_(config), table_(std::move(table)) {
    if (const std::string sentence = out_of_range(config_); !sentence.empty()) {
      SIMGR_THROW(ConfigError(sentence));
    }
    settle_size(catalogue_);
    catalogue_.text_vectors = catalogue_.item_vectors = {};  // it reads none
    catalogue_.popularity.resize(static_cast<std::size_t>(catalogue_.items), 0);
    item_keys_ = ItemKeys(catalogue_.keys);
    if (table_.rows() == 0) {
      table_.offsets.assign(static_cast<std::size_t>(catalogue_.items) + 1, 0);
      table_.cols = catalogue_.items;
    }
    refresh();
  }
  void refresh() {
    const double total =  // of a file's counts, which as integers may overflow
        std::accumulate(catalogue_.popularity.begin(), catalogue_.popularity.end(), 0.0);
    const double each = S::prior(config_) / std::max(total, 1.0);
    prior_.resize(catalogue_.popularity.size());
    std::transform(
        catalogue_.popularity.begin(), catalogue_.popularity.end(), prior_.begin(),
        [&](Index count) { return static_cast<float>(each * static_cast<double>(count)); });
  }
  void score(std::span<const ItemId> history, Vector<float> out, cpu::Context& ctx) const {
    std::copy(prior_.begin(), prior_.end(), out.begin());
    const auto add = [&](ItemId item) {
      const auto columns = table_.columns_of(item);
      const auto values = table_.values_of(item);
      for (std::size_t e = 0; e < columns.size(); ++e) { out[columns[e]] += values[e]; }
    };
    if constexpr (S::reads == HistoryRows::last_item) {
      if (!history.empty()) {
        add(history.back());
      }
    } else if constexpr (S::reads == HistoryRows::each_item) {
      Arena::Scope scope(ctx.arena);
      const auto known = ctx.take<ItemId>(static_cast<Index>(history.size()));
      std::copy(history.begin(), history.end(), known.begin());
      std::sort(known.begin(), known.end());
      std::for_each(known.begin(), std::unique(known.begin(), known.end()), add);
    }
  }
  /// Scores of one history, as rankers read them.
  struct OfHistory {
    const CountedModel& model;
    std::span<const ItemId> history;

    Index rows() const noexcept { return 1; }
    Index candidates() const noexcept { return model.items(); }
    void tile(cpu::Context& ctx, Index, Index, Matrix<float> scores) const {
      model.score(history, scores.row(0), ctx);
    }
  };

  Catalogue catalogue_;
  ItemKeys item_keys_;  // of catalogue_.keys
  Config config_;
  SparseRows table_;          // [items, items]
  std::vector<float> prior_;  // [items]: prior · share
  std::unique_ptr<ScratchPool<Arena>> scratch_ = std::make_unique<ScratchPool<Arena>>();
};

}  // namespace simgr::SIMGR_ABI::train
