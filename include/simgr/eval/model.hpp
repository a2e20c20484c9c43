// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include <simgr/core/executor.hpp>
#include <simgr/core/owned_matrix.hpp>
#include <simgr/data/split.hpp>
#include <simgr/eval/evaluator.hpp>
#include <simgr/eval/lists.hpp>
#include <simgr/ranker/exhaustive.hpp>
#include <simgr/recommend_options.hpp>

namespace simgr::SIMGR_ABI::eval {

namespace detail {

template <class Model>
inline constexpr bool serves_best_scores = true;
template <class Model>
  requires requires {
    typename Model::RankerType;
  }
inline constexpr bool serves_best_scores<Model> =
    std::is_same_v<typename Model::RankerType, ranker::Exhaustive>;

/// Histories of users first … first + count - 1, with offsets of their own.
struct SomeHistories {
  std::vector<Index> offsets;
  std::span<const ItemId> values;

  SomeHistories(const data::Evaluation& evaluation, Index first, Index count) {
    const auto from = evaluation.histories.offsets.begin() + first;
    offsets.assign(from, from + count + 1);
    values = std::span<const ItemId>(evaluation.histories.values)
                 .subspan(static_cast<std::size_t>(offsets.front()),
                          static_cast<std::size_t>(offsets.back() - offsets.front()));
    for (Index i = count; i >= 0; --i) { offsets[static_cast<std::size_t>(i)] -= offsets.front(); }
  }
  RaggedView<ItemId> view() const { return {values, offsets}; }
};

}  // namespace detail

namespace detail {

template <class Model, class E>
Metrics evaluate_queries(const Model& model, const data::Evaluation& evaluation,
                         const EvaluateOptions& options, E& executor) {
  const auto users = static_cast<Index>(evaluation.targets.size());
  OwnedMatrix<float> queries(users, model.query_width());
  constexpr Index at_a_time = 256;
  executor.for_each((users + at_a_time - 1) / at_a_time, [&](Index part) {
    const Index first = part * at_a_time, count = std::min(at_a_time, users - first);
    model.encode(SomeHistories(evaluation, first, count).view(),
                 queries.view().slice(first, count));
  });
  if constexpr (requires { model.keys(); }) {
    return evaluate(evaluation, model.catalogue().popularity, options, queries.view(), model.keys(),
                    executor);
  } else {
    EvaluateOptions by_row = options;
    by_row.tile_rows = 1;  // as recommend: a score must not depend on the users beside it
    return evaluate(
        evaluation, model.items(), model.catalogue().popularity, by_row,
        [&](Index first, Index count, Matrix<float> out) {
          model.score_queries(std::as_const(queries).view().slice(first, count), out);
        },
        executor);
  }
}

}  // namespace detail

/// All metrics of the scores of a model on the full catalogue, whatever ranker makes its lists: its
/// queries once, then one pass of products, or of the rows of scores it gives where those are no
/// products; a model without queries is asked for its scores. Seen items are kept unless the options
/// say otherwise.
///
/// Cost    one encoding and one row of products a user; memory [users, query_width] floats and the
///         tiles of evaluate
/// Errors  those of evaluate
template <class Model, Executor E = const Serial>
Metrics evaluate_scores(const Model& model, const data::Evaluation& evaluation,
                        const EvaluateOptions& options = {}, E&& executor = Serial{}) {
  if constexpr (requires { model.query_width(); }) {
    return detail::evaluate_queries(model, evaluation, options, executor);
  } else {
    return evaluate(
        evaluation, model.items(), model.catalogue().popularity, options,
        [&](Index first, Index count, Matrix<float> out) {
          model.score(detail::SomeHistories(evaluation, first, count).view(), out);
        },
        executor);
  }
}

/// All metrics of what a model serves: ranks are places in the lists of `recommend`. Where those
/// hold the best of all scores the scores are ranked, so that MRR and ties are known; other rankers
/// are asked for their lists. Seen items are kept unless the options say otherwise.
///
/// Cost    that of evaluate_scores, or of the lists
/// Errors  those of evaluate
template <class Model, Executor E = const Serial>
Metrics evaluate_model(const Model& model, const data::Evaluation& evaluation,
                       const EvaluateOptions& options = {}, E&& executor = Serial{}) {
  if constexpr (detail::serves_best_scores<Model>) {
    return evaluate_scores(model, evaluation, options, executor);
  } else {
    return evaluate_lists(
        evaluation, model.items(), model.catalogue().popularity, options,
        [&](Index first, Index count, Matrix<ItemId> ids, Matrix<float> scores,
            Vector<Index> found) {
          const detail::SomeHistories histories(evaluation, first, count);
          std::vector<Recommended> lists(static_cast<std::size_t>(ids.size()));
          model.recommend(histories.view(), ids.cols(), {.seen = options.seen}, lists, found);
          for (std::size_t i = 0; i < lists.size(); ++i) {
            ids.data()[i] = lists[i].item;
            scores.data()[i] = lists[i].score;
          }
        },
        executor);
  }
}

/// The lists that a model serves, k places or fewer, one a case, best item first: many users at a time
/// where the model takes them so.
///
/// Cost    the lists; memory of them all, 4 bytes a place
/// Errors  those of recommend
template <class Model, Executor E = const Serial>
Ragged<ItemId> served_lists(const Model& model, const data::Evaluation& cases, Index k,
                            const RecommendOptions& options = {}, E&& executor = Serial{}) {
  const auto users = static_cast<Index>(cases.targets.size());
  k = std::clamp<Index>(k, 0, model.items());
  constexpr Index at_a_time = 256;
  std::vector<Recommended> lists(static_cast<std::size_t>(users * k));
  std::vector<Index> found(static_cast<std::size_t>(users));
  executor.for_each((users + at_a_time - 1) / at_a_time, [&](Index part) {
    const Index first = part * at_a_time, count = std::min(at_a_time, users - first);
    const auto some = std::span(lists).subspan(static_cast<std::size_t>(first * k),
                                               static_cast<std::size_t>(count * k));
    const Vector<Index> filled(found.data() + first, {count});
    if constexpr (requires(RaggedView<ItemId> all) {
                    model.recommend(all, k, options, some, filled);
                  }) {
      model.recommend(detail::SomeHistories(cases, first, count).view(), k, options, some, filled);
    } else {
      for (Index i = 0; i < count; ++i) {
        filled[i] = model.recommend(
            cases.histories[first + i], options,
            some.subspan(static_cast<std::size_t>(i * k), static_cast<std::size_t>(k)));
      }
    }
  });
  Ragged<ItemId> result;
  for (Index u = 0; u < users; ++u) {
    for (Index place = 0; place < found[static_cast<std::size_t>(u)]; ++place) {
      result.values.push_back(lists[static_cast<std::size_t>(u * k + place)].item);
    }
    result.offsets.push_back(result.tokens());
  }
  return result;
}

}  // namespace simgr::SIMGR_ABI::eval
