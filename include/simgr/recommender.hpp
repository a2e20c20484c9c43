// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <simgr/catalogue.hpp>
#include <simgr/composition.hpp>
#include <simgr/core/error.hpp>
#include <simgr/core/executor.hpp>
#include <simgr/cpu/cpu.hpp>
#include <simgr/cpu/packed_matrices.hpp>
#include <simgr/cpu/rank_products.hpp>
#include <simgr/flow.hpp>
#include <simgr/item_keys.hpp>
#include <simgr/ranker/exhaustive.hpp>
#include <simgr/recommend_options.hpp>
#include <simgr/scratch_pool.hpp>
#include <simgr/task.hpp>
#include <simgr/token_decoder.hpp>

//  interactions ──► data ──► tokenizer ──► encoder ──► pooler ──► similarity ──┬─► loss ──► gradients ──► optimizer
//   (user, item, t)  │        item ids or      │          │            ▲       │
//                    │        semantic ids     │          │            │       └─► ranker ──► top-k ──► metrics
//                    └─ split: leave-one-out   │          │        candidates
//                                        [tokens, d]  [rows, d]   (tied table · own table ·
//                                                                  encoded items · vocabulary · codebooks)

namespace simgr::SIMGR_ABI {

namespace data {
struct Split;
}
namespace train {
struct FitOptions;
template <class Model>
struct Fitting;
}  // namespace train
namespace io {
template <class Model>
struct ModelFile;
}

namespace detail {
template <class E>
inline constexpr bool reads_prompts = requires {
  requires E::EmbeddingType::reads_prompt;
};
template <class Parts>
struct DecodingState {
  struct Type {};
};
template <class Parts>
requires Parts::autoregressive struct DecodingState<Parts> {
  using Type = typename TokenDecoder<Parts, float>::State;
};
}  // namespace detail

/// A recommender is a sentence: an Encoder that reads histories, a Pooler that reads its states, a
/// Similarity that compares them with its candidates, and a Loss that trains the scores.
///
/// It owns the weights, what is known of the items, and the keys of the catalogue ready for
/// ranking. A trained model is immutable while it serves: every const member may be called from any
/// number of threads, takes its scratch memory from a pool without locks, and allocates nothing
/// once warm.
///
/// @tparam R      Exhaustive: all candidates, best first; GraphDecoding
/// @tparam Tasks  what it is trained to predict
template <Encoder E, Pooler P, Similarity S, Loss L, Ranker R = ranker::Exhaustive,
          class Tasks = TaskMix<NextItem>>
class Recommender {
public:
  using Parts = Composition<E, P, S, L, typename R::Config,
                            detail::reads_prompts<E> ? 0 : neighbour_tasks<Tasks>>;
  using Config = typename Parts::Config;
  using EncoderType = E;
  using PoolerType = P;
  using SimilarityType = S;
  using LossType = L;
  using RankerType = R;
  using TasksType = Tasks;
  /// Whether an item is spelt digit by digit: then a user is no vector, and lists are decoded.
  static constexpr bool autoregressive = Parts::autoregressive;
  static_assert(
      autoregressive == requires { requires R::decodes; },
      "simgr: TrieBeam, FreeBeam and ExactTokenScores rank what EveryDigit predicts digit "
      "by digit, and nothing else does; other models are ranked by Exhaustive or GraphDecoding");
  static constexpr bool wholes_fit = !std::same_as<typename R::In, flow::DigitAndItemScores> ||
                                     std::same_as<typename S::Out, flow::DigitAndItemScores>;
  static_assert(wholes_fit,
                "simgr: HybridBeam and DenseScores compare items as wholes, too, and need "
                "ProductAndCosine<DigitsAndTexts>; models that only spell are ranked by TrieBeam, "
                "FreeBeam or ExactTokenScores");
  /// Whether training reads the catalogue's relations.
  static constexpr bool learns_neighbours = neighbour_tasks<Tasks> > 0;
  /// Whether items can be added after training: no tensor has a row for each item.
  static constexpr bool extensible = Parts::Embedding::needs_ids && !requires {
    Parts::Candidates::own_rows;
  };

  /// Untrained weights, drawn from `seed`.
  /// @throws ConfigError  an impossible number, or a part of the catalogue that this model needs and
  ///                      does not find
  explicit Recommender(Catalogue catalogue, Config config = {}, std::uint64_t seed = 1)
      : catalogue_(std::move(catalogue)), config_(config) {
    lay_out();
    initialise(table_, weights_.span(), seed);
    refresh();
  }
  /// With trained weights: one block in the layout of describe().
  Recommender(Catalogue catalogue, Config config, std::span<const float> weights)
      : catalogue_(std::move(catalogue)), config_(config) {
    lay_out();
    if (static_cast<Index>(weights.size()) != table_.block_size) {
      SIMGR_THROW(ShapeError("weights: expected [" + std::to_string(table_.block_size) +
                             "], found [" + std::to_string(weights.size()) + "]"));
    }
    std::copy(weights.begin(), weights.end(), weights_.begin());
    refresh();
  }
  /// With weights that `write(table, block)` puts in a zeroed block in the layout of describe().
  template <std::invocable<const ParameterTable&, std::span<float>> Write>
  Recommender(Catalogue catalogue, Config config, Write&& write)
      : catalogue_(std::move(catalogue)), config_(config) {
    lay_out();
    std::fill(weights_.begin(), weights_.end(), 0.0f);
    write(std::as_const(table_), weights_.span());
    refresh();
  }
  Recommender(Recommender&&) noexcept = default;
  Recommender& operator=(Recommender&&) noexcept = default;

  Index items() const noexcept { return catalogue_.items; }
  /// Numbers of a query: the width of the encoder, for each digit where digits are scored.
  Index query_width() const noexcept { return config_.query_width(); }
  const Catalogue& catalogue() const noexcept { return catalogue_; }
  /// From the host's names of items to ids and back.
  const ItemKeys& item_keys() const noexcept { return item_keys_; }
  const Config& config() const noexcept { return config_; }
  const ParameterTable& table() const noexcept { return table_; }

  /// Trains on split.train, keeps the best epoch of split.validation, and tells `observer` of steps
  /// and epochs. Needs <simgr/train/trainer.hpp>.
  template <class Observer = Silent, Executor X = const Serial>
  auto fit(const data::Split& split, const train::FitOptions& options, Observer&& observer = {},
           X&& executor = {}) {
    static_assert(
        requires { sizeof(train::Fitting<Recommender>); },
        "simgr: include <simgr/train/trainer.hpp> to call fit");
    return train::Fitting<Recommender>::fit(*this, split, options, observer, executor);
  }

  /// Writes weights, config, semantic ids and keys to one file: the old one or the new one, never
  /// half. Needs <simgr/io/model_file.hpp>.
  void save(const std::string& path) const {
    static_assert(
        requires { sizeof(io::ModelFile<Recommender>); },
        "simgr: include <simgr/io/model_file.hpp> to call save");
    io::ModelFile<Recommender>::save(*this, path);
  }
  static Recommender load(const std::string& path) {
    static_assert(
        requires { sizeof(io::ModelFile<Recommender>); },
        "simgr: include <simgr/io/model_file.hpp> to call load");
    return io::ModelFile<Recommender>::load(path);
  }

  /// Query vectors of histories: score_queries() makes scores of them, and where scores are
  /// products, those with keys() are the scores. Histories longer than max_length are read from
  /// their end; an empty history gives zeros.   out [sequences, query_width]
  void encode(RaggedView<ItemId> histories, Matrix<float> out) const requires(!autoregressive) {
    const auto scratch = scratch_->take();
    encode(histories, out, *scratch);
  }
  /// Scores of every item.   out [sequences, items]
  void score(RaggedView<ItemId> histories, Matrix<float> out) const {
    if constexpr (autoregressive) {
      std::fill(out.begin(), out.end(), 0.0f);
      visit_prefixes(histories, [&](Index row, Index depth, Index node, float score) {
        if (depth == trie().digits()) {
          for (const ItemId item : trie().items_below(depth, node)) { out(row, item) = score; }
        }
      });
    } else {
      const auto scratch = scratch_->take();
      Arena::Scope scope(scratch->arena);
      cpu::Context ctx{scratch->arena};
      const Matrix<float> queries = ctx.take<float>(histories.sequences(), query_width());
      encode(histories, queries, *scratch);
      scorer(queries, ctx).tile(ctx, 0, queries.rows(), out);
    }
  }
  /// Calls visit(row, depth, node, log p(its digits | history)) once for every history that is not
  /// empty and every node of the trie but the root: what a beam goes by, and what it prunes.
  template <class Visit>
  void visit_prefixes(RaggedView<ItemId> histories, Visit&& visit) const requires autoregressive;
  /// The prefixes of all items, which lists are decoded along.
  const auto& trie() const noexcept requires autoregressive { return ranker_; }
  /// The same for query vectors.   queries [rows, query_width], out [rows, items]
  void score_queries(MatrixArg<float> queries, Matrix<float> out) const requires(!autoregressive) {
    const auto scratch = scratch_->take();
    Arena::Scope scope(scratch->arena);
    cpu::Context ctx{scratch->arena};
    scorer(queries, ctx).tile(ctx, 0, queries.rows(), out);
  }

  /// Log-probabilities of every code of every digit, predicted apart from each other.
  /// out [sequences, Σ codes]
  void digit_log_probabilities(RaggedView<ItemId> histories, Matrix<float> out) const
      requires(Parts::scores_digits && !autoregressive) {
    const auto scratch = scratch_->take();
    Arena::Scope scope(scratch->arena);
    cpu::Context ctx{scratch->arena};
    const Matrix<float> queries = ctx.take<float>(histories.sequences(), query_width());
    encode(histories, queries, *scratch);
    scorer(queries, ctx).log_probabilities(ctx, 0, histories.sequences(), out);
  }

  /// The k best items for one history, best first; fewer where the options leave fewer or a beam
  /// finds fewer, which has ranker.width places. An empty history gets the most popular items.
  /// Repeated items are fine; ids outside the catalogue are a DataError.
  std::vector<Recommended> recommend(std::span<const ItemId> history, Index k,
                                     const RecommendOptions& options = {}) const {
    std::vector<Recommended> list(static_cast<std::size_t>(std::clamp<Index>(k, 0, items())));
    list.resize(static_cast<std::size_t>(recommend(history, options, list)));
    return list;
  }
  /// The same into the caller's memory; returns how many places were filled. Allocates nothing once
  /// warm.
  Index recommend(std::span<const ItemId> history, const RecommendOptions& options,
                  std::span<Recommended> list) const {
    const Index offsets[2] = {0, static_cast<Index>(history.size())};
    Index found = 0;
    recommend(RaggedView<ItemId>{history, offsets}, static_cast<Index>(list.size()), options, list,
              {&found, {1}});
    return found;
  }
  /// The same for many histories: list [sequences, k], found [sequences]. Encoding rounds by the
  /// number of histories, so a score may differ in its last bits from that of the history alone.
  void recommend(RaggedView<ItemId> histories, Index k, const RecommendOptions& options,
                 std::span<Recommended> list, Vector<Index> found) const {
    require_known(histories);
    const auto scratch = scratch_->take();
    Arena::Scope scope(scratch->arena);
    cpu::Context ctx{scratch->arena};
    const Index rows = histories.sequences();
    const Index places = std::min(k, items());
    const Matrix<ItemId> ids = ctx.take<ItemId>(rows, places);
    const Matrix<float> scores = ctx.take<float>(rows, places);
    const Index none[2] = {0, 0}, deny[2] = {0, static_cast<Index>(options.deny.size())},
                allow[2] = {0, static_cast<Index>(options.allow.size())};
    const auto one_list = [&](std::span<const ItemId> values, const Index(&offsets)[2]) {
      return values.empty() ? RaggedView<ItemId>{} : RaggedView<ItemId>{values, offsets};
    };
    const ranker::ItemFilter filter{options.seen, histories, one_list(options.deny, deny),
                                    one_list(options.allow, allow)};
    if constexpr (autoregressive) {
      rank_by_decoding(filter, ids, scores, found, ctx, *scratch);
    } else {
      const Matrix<float> queries = ctx.take<float>(rows, query_width());
      encode(histories, queries, *scratch);
      if constexpr (requires { typename R::State; }) {
        R::rank(ctx, config_.ranker, ranker_, scorer(queries, ctx), filter, ids, scores, found);
      } else {
        R::rank(ctx, scorer(queries, ctx), filter, ids, scores, found);
      }
    }
    for (Index row = 0; row < rows; ++row) {
      if (histories[row].empty()) {  // of an unknown user: the popular items, in the same protocol
        ranker::ItemFilter of_row = filter;
        of_row.histories = {{}, none};
        const float one = 1;
        const Matrix<const float> query(&one, {1, 1});
        ranker::Exhaustive::rank(ctx, ProductScores<float>{query, popularity_.view(), {}, {}},
                                 of_row, ids.slice(row, 1), scores.slice(row, 1),
                                 found.slice(row, 1));
      }
      for (Index place = 0; place < found[row]; ++place) {
        list[static_cast<std::size_t>(row * k + place)] = {ids(row, place), scores(row, place)};
      }
    }
  }

  /// Adds items to a trained model: their vectors follow from their semantic ids, nothing is
  /// retrained, and no other score changes.
  /// codes [new items, digits]; names as many as codes, or none where the catalogue has none;
  /// text_vectors [new items, width] and words [new items], those of each text in a prompt, or none
  /// where the model reads none
  /// @throws ShapeError, DataError  other digits, or a code the digit tables have no row for
  void add_items(Matrix<const std::int32_t> codes, std::vector<std::string> names = {},
                 Matrix<const float> text_vectors = {},
                 RaggedView<std::int32_t> words = {}) requires extensible {
    extend(codes, std::move(names), text_vectors, words);
  }

  // What trainers and files work on.
  std::span<float> weights() noexcept { return weights_.span(); }
  std::span<const float> weights() const noexcept { return weights_.span(); }
  const typename Parts::template Params<float>& params() const noexcept { return params_; }
  ItemsView<> items_view() const noexcept {
    return {catalogue_.items,
            digit_rows_.view(),
            digit_starts_,
            catalogue_.text_vectors.view(),
            catalogue_.item_vectors.view(),
            unseen_,
            catalogue_.prompt};
  }
  /// [items, query_width]
  Matrix<const float> keys() const noexcept requires Parts::scores_are_products { return keys_; }
  void set_popularity(std::vector<Index> popularity) {
    catalogue_.popularity = std::move(popularity);
    complete_catalogue();
  }
  /// Computes anew what serves: to be called when weights have changed.
  void refresh() {
    refresh_scores();
    prepare_ranker();
  }
  /// Rows and keys alone, which is all that scores need; lists may still follow older weights.
  void refresh_scores() {
    compute_bank(0);
    if constexpr (autoregressive) {
      packed_.clear();
      for (const TensorEntry& tensor : table_.tensors) {
        if (tensor.name.ends_with(".weight") && tensor.shape.size() == 2 &&
            tensor.storage == Storage::full) {
          packed_.add({weights_.data() + tensor.offset, {tensor.shape[0], tensor.shape[1]}});
        }
      }
    }
  }

private:
  struct Scratch {
    Arena arena;
    typename Parts::template Cache<float> cache;
    std::vector<ItemId> values;  // of the histories that are read
    std::vector<Index> offsets;
    [[no_unique_address]] typename detail::DecodingState<Parts>::Type decoding;
  };

  // Queries are a row for each user; of digits, one for each digit of each user.
  auto scorer(MatrixArg<float> queries, cpu::Context& ctx) const {
    const Index cols = Parts::scores_digits ? width() : query_width();
    queries = MatrixArg<float>(queries.data(), {queries.size() / cols, cols});
    typename Parts::template Shared<float> bank;
    bank.keys = keys_;
    bank.terms = terms_;
    return Parts::scorer(config_, params_, params_, bank, items_view(), queries, Matrix<float>{},
                         Matrix<float>{}, ctx);
  }
  Index width() const noexcept { return config_.encoder.width; }
  void encode(RaggedView<ItemId> histories, Matrix<float> out, Scratch& scratch) const;
  void read_ends(RaggedView<ItemId> histories, Index first, Index count, Scratch& scratch) const;
  auto decoder(RaggedView<ItemId> histories,
               typename detail::DecodingState<Parts>::Type& state) const;
  void rank_by_decoding(const ranker::ItemFilter& filter, Matrix<ItemId> ids, Matrix<float> scores,
                        Vector<Index> found, cpu::Context& ctx, Scratch& scratch) const;
  void require_known(RaggedView<ItemId> histories) const;
  static void require_code(const SemanticIds& ids, Index item, Index digit, std::int32_t code);
  static void require_vectors(const Catalogue& catalogue);
  static void require_prompt(const Catalogue& catalogue);
  void extend(Matrix<const std::int32_t> codes, std::vector<std::string> names,
              Matrix<const float> text_vectors, RaggedView<std::int32_t> words);
  void complete_catalogue();
  void lay_out();
  void compute_bank(Index first);
  void prepare_ranker();

  Catalogue catalogue_;
  ItemKeys item_keys_;  // of catalogue_.keys
  Config config_;
  ParameterTable table_;
  Arena weights_memory_;
  Vector<float> weights_;
  typename Parts::template Params<float> params_;
  OwnedMatrix<std::int32_t> digit_rows_;                         // [items, digits]
  std::vector<Index> digit_starts_;                              // [digits + 1]
  OwnedMatrix<float> rows_memory_, keys_memory_, terms_memory_;  // empty where weights serve
  Matrix<const float> rows_, keys_, terms_;
  OwnedMatrix<float> popularity_;  // [items, 1]
  std::vector<ItemId> unseen_;     // ascending, of popularity 0
  cpu::PackedMatrices packed_;     // of layers that a beam passes by; otherwise empty
  [[no_unique_address]] StateOf<R> ranker_;
  std::unique_ptr<ScratchPool<Scratch>> scratch_ = std::make_unique<ScratchPool<Scratch>>();
};

namespace detail {
template <class R, class Tasks>
struct WithTasks;
template <class E, class P, class S, class L, class R, class Old, class Tasks>
struct WithTasks<Recommender<E, P, S, L, R, Old>, Tasks> {
  using Type = Recommender<E, P, S, L, R, Tasks>;
};
template <class M, class R>
struct WithRanker;
template <class E, class P, class S, class L, class Old, class Tasks, class R>
struct WithRanker<Recommender<E, P, S, L, Old, Tasks>, R> {
  using Type = Recommender<E, P, S, L, R, Tasks>;
};
}  // namespace detail

/// The same model, another training mixture.
template <class M, Task... Tasks>
using with_tasks = typename detail::WithTasks<M, TaskMix<Tasks...>>::Type;
/// The same model, another decoder.
template <class M, Ranker R>
using with_ranker = typename detail::WithRanker<M, R>::Type;

}  // namespace simgr::SIMGR_ABI

#include <simgr/recommender_bank.hpp>
#include <simgr/recommender_decoding.hpp>
