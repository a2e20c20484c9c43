// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <simgr/catalogue.hpp>
#include <simgr/core/error.hpp>
#include <simgr/core/executor.hpp>
#include <simgr/core/fields.hpp>
#include <simgr/core/type_name.hpp>
#include <simgr/cpu/cpu.hpp>
#include <simgr/data/split.hpp>
#include <simgr/eval/model.hpp>
#include <simgr/io/model_file.hpp>
#include <simgr/io/ragged_file.hpp>
#include <simgr/item_keys.hpp>
#include <simgr/ranker/exhaustive.hpp>
#include <simgr/recommender.hpp>
#include <simgr/scratch_pool.hpp>
#include <simgr/train/fit_options.hpp>
#include <simgr/train/item_list.hpp>
#include <simgr/train/report.hpp>
#include <simgr/train/user_item_graph.hpp>

namespace simgr::SIMGR_ABI::train {

/// Numbers of LightGcn.
struct LightGcnConfig {
  Index width = 64;
  Index layers = 3;
  double regularisation = 1e-4;  // of the rows of each preference
  double deviation = 0.1;        // of the first values

  template <class F, class C>
  static void for_each_field(C& c, F&& f) {
    f(Field{"width", 1, 65536, "numbers of a row"}, c.width);
    f(Field{"layers", 0, 64, "steps along the edges"}, c.layers);
    f(Field{"regularisation", 0, 1e6, "pull of the rows of a preference towards zero"},
      c.regularisation);
    f(Field{"deviation", 0, 10, "standard deviation of the first values"}, c.deviation);
  }
};

/// Rows of users and items, propagated along who took what; a score is the product of a user's
/// and an item's.
///
/// A history stands for its user. The part of a user's vector that comes of neighbours is computed
/// from the items of the history; the user's own row is added where the history begins with the
/// training history of a user, and that is at least half of it:
///
///   vector(h) = (row_u + Σ_{k < layers} Σ_{i in h} x_i^(k) / sqrt(|h| |N_i|)) / (layers + 1)
///
/// With h a training history this is the user's propagated row. Anybody else is the sum alone, and an
/// empty history gets the most popular items.
///
/// The interface of a Recommender.
///
/// Errors  ConfigError: no items, keys that are not one for each, or a number out of its range
/// Source  He et al. 2020, sections 3.1 to 3.4
class LightGcn {
public:
  using Config = LightGcnConfig;

  /// Untrained rows, drawn from `seed`, of items alone: users come with fit.
  explicit LightGcn(Catalogue catalogue, Config config = {}, std::uint64_t seed = 1)
      : catalogue_(std::move(catalogue)), config_(config) {
    settle();
    lay_out();
    initialise(table_, weights_.span(), seed);
    refresh();
  }
  LightGcn(LightGcn&&) noexcept = default;
  LightGcn& operator=(LightGcn&&) noexcept = default;

  Index items() const noexcept { return catalogue_.items; }
  Index users() const noexcept { return histories_.sequences(); }
  Index query_width() const noexcept { return config_.width; }
  const Catalogue& catalogue() const noexcept { return catalogue_; }
  const ItemKeys& item_keys() const noexcept { return item_keys_; }
  const Config& config() const noexcept { return config_; }
  const ParameterTable& table() const noexcept { return table_; }
  const UserItemGraph& graph() const noexcept { return graph_; }
  Nodes<float> rows() const noexcept { return bind_nodes(weights_.data()); }
  Matrix<const float> keys() const noexcept { return keys_; }  // [items, width], propagated

  // The block of all rows, for training; refresh() what follows from them afterwards.
  std::span<float> weights() noexcept { return weights_.span(); }
  std::span<const float> weights() const noexcept {
    return {weights_.data(), weights_.span().size()};
  }
  void refresh() {
    Arena arena;
    const Nodes<float> x = rows(), y = nodes_like(x, arena);
    const Serial serial;
    const auto copied = [&] { return OwnedMatrix<float>(items(), config_.width); };
    propagate(serial, graph_, config_.layers, x, y, arena);
    keys_ = copied();
    std::copy(y.items.begin(), y.items.end(), keys_.values.begin());
    parts_ = copied();
    if (config_.layers == 0) {
      return;
    }
    propagate(serial, graph_, config_.layers - 1, x, y, arena);
    const float share = static_cast<float>(config_.layers) / static_cast<float>(config_.layers + 1);
    for (Index item = 0; item < items(); ++item) {
      for (Index k = 0; k < config_.width; ++k) {
        parts_.view()(item, k) =
            share * graph_.item_scale[static_cast<std::size_t>(item)] * y.items(item, k);
      }
    }
  }

  /// Trains to the end, as LightGcnTrainer does, and keeps the best epoch of split.validation.
  ///
  /// Errors  those of LightGcnTrainer
  template <class Observer = Silent, class X = const Serial>
  FitResult fit(const data::Split& split, const FitOptions& options, Observer&& observer = {},
                X&& executor = {});

  /// Vectors of histories; items are trusted.   out [histories, width]
  void encode(RaggedView<ItemId> histories, Matrix<float> out) const {
    const auto scratch = scratch_->take();
    for (Index row = 0; row < histories.sequences(); ++row) {
      encode(histories[row], out.row(row), *scratch);
    }
  }

  /// As Recommender::recommend.
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
    return list_items(*scratch, items(), history, options, list,
                      [&](cpu::Context& ctx, const ranker::ItemFilter& filter, Matrix<ItemId> ids,
                          Matrix<float> scores, Vector<Index> found) {
                        const bool known = !history.empty();
                        const Matrix<float> query = ctx.take<float>(1, known ? query_width() : 1);
                        if (known) {
                          encode(history, query.row(0), ctx.arena);
                        } else {
                          query(0, 0) = 1;
                        }
                        ranker::rank_products(ctx, query, known ? keys() : popularity_.view(),
                                              filter, ids, scores, found);
                      });
  }

  /// A checkpoint with rows, catalogue and training histories; extra metadata as ModelFile::try_save.
  ///
  /// Errors  those of CheckpointWriter::try_set_own and try_write
  Failure try_save(const std::string& path, std::span<const io::MetadataEntry> extra = {}) const {
    io::CheckpointWriter writer;
    add_to(writer);
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
  /// What a file holds; training states hold it too.
  void add_to(io::CheckpointWriter& writer) const {
    io::add_head(writer, type(), config_, catalogue_);
    io::add_ragged(writer, "histories/items", histories_);
    io::add_parameters(writer, table_, weights());
  }
  static Result<LightGcn> try_load(const std::string& path) {
    auto checkpoint = io::Checkpoint::try_read(path);
    return checkpoint ? try_load(checkpoint.value()) : Result<LightGcn>(checkpoint.error());
  }
  /// Errors  DataError, ShapeError or ConfigError: a damaged file, or one of another model
  static Result<LightGcn> try_load(const io::Checkpoint& checkpoint) {
    auto head = io::try_read_head<Config>(checkpoint, type());
    if (!head) {
      return head.error();
    }
    auto& [config, catalogue] = head.value();
    auto histories = io::try_read_ragged(checkpoint, "histories/items", catalogue.items);
    if (!histories) {
      return histories.error();
    }
    const ParameterTable table = describe<NodeTables>(
        {histories->sequences(), catalogue.items, config.width, config.deviation});
    if (Failure failure = io::match_parameters(checkpoint, table)) {
      return *std::move(failure);
    }
    LightGcn model(std::move(catalogue), config, std::move(histories).value());
    if (Failure failure =
            io::try_load_parameters(checkpoint, model.table_, model.weights_.span())) {
      return *std::move(failure);
    }
    model.refresh();
    return model;
  }
  static LightGcn load(const std::string& path) { return try_load(path).value_or_raise(); }
  /// What its files say of their type, as ModelFile::type().
  static std::string type() { return type_name<LightGcn>(); }

private:
  friend class LightGcnTrainer;

  LightGcn(Catalogue catalogue, Config config, Ragged<ItemId> histories)
      : catalogue_(std::move(catalogue)), config_(config), histories_(std::move(histories)) {
    settle();
    lay_out();
  }
  void settle() {
    if (const std::string sentence = out_of_range(config_); !sentence.empty()) {
      SIMGR_THROW(ConfigError(sentence));
    }
    settle_size(catalogue_);
    catalogue_.text_vectors = catalogue_.item_vectors = {};  // it reads none
    item_keys_ = ItemKeys(catalogue_.keys);
  }
  NodeTables::Config sizes() const noexcept {
    return {users(), items(), config_.width, config_.deviation};
  }
  Nodes<float> bind_nodes(float* block) const { return bind<NodeTables>(sizes(), block); }
  /// What follows from the histories.
  void lay_out() {
    table_ = describe<NodeTables>(sizes());
    memory_ = Arena(static_cast<std::size_t>(table_.block_size) * sizeof(float) + Arena::alignment);
    weights_ = memory_.take<float, 1>({table_.block_size});
    std::fill(weights_.begin(), weights_.end(), 0.0f);
    graph_ = user_item_graph(histories_, items());
    beginnings_.clear();
    for (Index user = 0; user < users(); ++user) {
      std::uint64_t hash = no_items;
      for (const ItemId item : histories_[user]) { hash = hash_behind(hash, item); }
      if (!histories_[user].empty()) {
        beginnings_.emplace_back(hash, user);
      }
    }
    std::sort(beginnings_.begin(), beginnings_.end());
    popularity_ = OwnedMatrix<float>(items(), 1);
    std::transform(catalogue_.popularity.begin(), catalogue_.popularity.end(),
                   popularity_.values.begin(), [](Index n) { return static_cast<float>(n); });
  }
  void begin(const data::Split& split, std::uint64_t seed) {
    if (split.items != items()) {
      SIMGR_THROW(DataError("split: expected " + std::to_string(items()) + " items, found " +
                            std::to_string(split.items)));
    }
    if (split.train.values.empty()) {
      SIMGR_THROW(DataError("split.train: nobody took anything"));
    }
    data::require_known_items(split.train, items());
    catalogue_.popularity = data::popularity(split.train, items());
    histories_ = split.train;
    lay_out();
    initialise(table_, weights_.span(), seed);
  }

  static constexpr std::uint64_t no_items = 0xcbf29ce484222325u;
  static std::uint64_t hash_behind(std::uint64_t hash, ItemId item) noexcept {
    hash = (hash ^ static_cast<std::uint64_t>(item)) * 0x9e3779b97f4a7c15u;
    return hash ^ (hash >> 29);
  }
  /// The user whose training history is the longest beginning of this one, at least half of it; -1:
  /// there is none.
  Index user_of(std::span<const ItemId> history) const noexcept {
    std::uint64_t hash = no_items;
    Index found = -1;
    for (std::size_t length = 1; length <= history.size(); ++length) {
      hash = hash_behind(hash, history[length - 1]);
      if (2 * length < history.size()) {
        continue;
      }
      auto place = std::lower_bound(beginnings_.begin(), beginnings_.end(),
                                    std::pair<std::uint64_t, Index>{hash, 0});
      for (; place != beginnings_.end() && place->first == hash; ++place) {
        const auto begins = histories_[place->second];
        if (std::equal(begins.begin(), begins.end(), history.begin(),
                       history.begin() + static_cast<std::ptrdiff_t>(length))) {
          found = place->second;
          break;
        }
      }
    }
    return found;
  }
  void encode(std::span<const ItemId> history, Vector<float> out, Arena& arena) const {
    Arena::Scope scope(arena);
    const auto taken = arena.take<ItemId, 1>({static_cast<Index>(history.size())});
    std::copy(history.begin(), history.end(), taken.begin());
    std::sort(taken.begin(), taken.end());
    const ItemId* const end = std::unique(taken.begin(), taken.end());
    const float scale =
        1.0f / std::sqrt(static_cast<float>(std::max<std::ptrdiff_t>(end - taken.begin(), 1)));
    std::fill(out.begin(), out.end(), 0.0f);
    const auto add = [&](VectorArg<float> row, float factor) {
      for (Index k = 0; k < out.size(); ++k) { out[k] += factor * row[k]; }
    };
    for (const ItemId* item = taken.begin(); item != end; ++item) {
      add(parts_.view().row(*item), scale);
    }
    if (const Index user = user_of(history); user >= 0) {
      add(rows().users.row(user), 1.0f / static_cast<float>(config_.layers + 1));
    }
  }

  Catalogue catalogue_;
  ItemKeys item_keys_;  // of catalogue_.keys
  Config config_;
  Ragged<ItemId> histories_;  // [users], what it was trained on
  UserItemGraph graph_;
  std::vector<std::pair<std::uint64_t, Index>> beginnings_;  // hashes of those, and users
  ParameterTable table_;
  Arena memory_;
  Vector<float> weights_;
  OwnedMatrix<float> keys_;        // [items, width]: propagated rows
  OwnedMatrix<float> parts_;       // [items, width]: what an item is worth to a user who took it
  OwnedMatrix<float> popularity_;  // [items, 1]
  std::unique_ptr<ScratchPool<Arena>> scratch_ = std::make_unique<ScratchPool<Arena>>();
};

}  // namespace simgr::SIMGR_ABI::train

#include <simgr/train/light_gcn_trainer.hpp>  // fit
