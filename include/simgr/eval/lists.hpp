// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <concepts>
#include <span>
#include <vector>

#include <simgr/core/executor.hpp>
#include <simgr/core/owned_matrix.hpp>
#include <simgr/eval/evaluator.hpp>

namespace simgr::SIMGR_ABI::eval {

/// All metrics of lists: for rankers that do not score every item. Rank is the place in the list; a
/// target that is not listed has rank items + 1 and counts nowhere, MRR is absent, and there are no
/// ties to count.
///
/// @param list  list(first, count, ids, scores, found): the lists of users first …
///              first + count - 1;  ids, scores [count, longest cutoff], found [count]; called from
///              the executor's threads
///
/// Cost    the lists; memory of one list a user
/// Errors  as evaluate
template <class List, Executor E = const Serial>
Metrics evaluate_lists(const data::Evaluation& evaluation, Index items,
                       std::span<const Index> popularity, const EvaluateOptions& options,
                       List&& list, E&& executor = Serial{}) requires
    std::invocable<List&, Index, Index, Matrix<ItemId>, Matrix<float>, Vector<Index>> {
  detail::Gathering gathering(evaluation, items, popularity, options);
  const auto users = static_cast<Index>(evaluation.targets.size());
  Index longest = 0;
  for (const Index k : options.cutoffs) { longest = std::max(longest, std::min(k, items)); }
  const Index rows = std::min(options.tile_rows, std::max<Index>(users, 1));
  executor.for_each((users + rows - 1) / rows, [&](Index part) {
    const Index first = part * rows, count = std::min(rows, users - first);
    OwnedMatrix<ItemId> ids(count, longest);
    OwnedMatrix<float> scores(count, longest);
    std::vector<Index> found(static_cast<std::size_t>(count));
    list(first, count, ids.view(), scores.view(), Vector<Index>(found.data(), {count}));
    for (Index i = 0; i < count; ++i) {
      detail::UserPass& user = gathering.user(first + i);
      user.standing.better = items;
      for (Index place = 0; place < found[static_cast<std::size_t>(i)]; ++place) {
        const ItemId item = ids.view()(i, place);
        // A list is in order already; places stand for scores, which may tie.
        user.best.offer(-static_cast<float>(place), item);
        if (item == user.target) {
          user.standing.better = place;
        }
      }
    }
  });
  Metrics metrics = gathering.finish();
  metrics.mrr = absent;
  return metrics;
}

}  // namespace simgr::SIMGR_ABI::eval
