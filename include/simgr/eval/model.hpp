// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include <simgr/core/executor.hpp>
#include <simgr/core/owned_matrix.hpp>
#include <simgr/data/split.hpp>
#include <simgr/eval/evaluator.hpp>

namespace simgr::SIMGR_ABI::eval {

/// All metrics of a model on the full catalogue: its queries once, then one pass of products, or
/// of the rows of scores it gives where those are no products. Ranks are the places that
/// `recommend` serves. Seen items are kept unless the options say otherwise.
///
/// Cost    one encoding and one row of products a user; memory [users, width] floats and the tiles
///         of evaluate
/// Errors  those of evaluate
template <class Model, Executor E = const Serial>
Metrics evaluate_model(const Model& model, const data::Evaluation& evaluation,
                       const EvaluateOptions& options = {}, E&& executor = Serial{}) {
  const auto users = static_cast<Index>(evaluation.targets.size());
  OwnedMatrix<float> queries(users, model.width());
  constexpr Index at_a_time = 256;
  executor.for_each((users + at_a_time - 1) / at_a_time, [&](Index part) {
    const Index first = part * at_a_time, count = std::min(at_a_time, users - first);
    const auto offsets =
        std::span<const Index>(evaluation.histories.offsets)
            .subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count) + 1);
    std::vector<Index> local(offsets.begin(), offsets.end());
    for (Index& offset : local) { offset -= offsets.front(); }
    const auto values = std::span<const ItemId>(evaluation.histories.values)
                            .subspan(static_cast<std::size_t>(offsets.front()),
                                     static_cast<std::size_t>(local.back()));
    model.encode(RaggedView<ItemId>{values, local}, queries.view().slice(first, count));
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

}  // namespace simgr::SIMGR_ABI::eval
