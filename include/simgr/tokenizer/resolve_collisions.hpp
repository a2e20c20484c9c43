// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include <simgr/core/owned_matrix.hpp>
#include <simgr/tokenizer/nearest_free.hpp>
#include <simgr/tokenizer/sinkhorn.hpp>

namespace simgr::SIMGR_ABI::tokenizer {

/// Spreads every group of items that share an id over the codes of the last level: the group alone
/// is assigned anew by Sinkhorn, which may run into items outside, hence the rounds. Groups that no
/// round parts (equal vectors) stay.
///
/// In a group of few items every one owns many codes of nearly equal mass, so that an item gets a
/// code to which it is nearer than the others are, not one that is near: last digits become
/// distorted. nearest_free does without.
///
/// Shapes  ids: the codes of vectors [items, width] under `codebooks`, without a further digit
/// Cost    O(rounds · items in groups · (levels · codes · width + iterations · codes))
/// Source  Zheng et al. (LC-Rec) 2024, section 3.2
template <Codebooks C>
SemanticIds spread_groups(const C& codebooks, MatrixArg<float> vectors, SemanticIds ids,
                          const SinkhornConfig& config = {}, Index rounds = 20) {
  SIMGR_ASSERT(vectors.rows() == ids.items() && ids.digits() == codebooks.levels(),
               "spread_groups: shapes");
  const auto last = static_cast<std::size_t>(ids.digits() - 1);
  Sinkhorn sinkhorn(config);
  std::vector<float> distances;
  bool changed = true;
  for (Index round = 0; round < rounds && changed; ++round) {
    changed = false;
    const IdGroups groups = group_ids(ids.codes);
    for (Index g = 0; g < groups.groups(); ++g) {
      const auto group = groups.group(g);
      if (group.size() < 2) {
        continue;
      }
      OwnedMatrix<double> table(std::ssize(group), ids.codes_per_digit[last]);
      for (std::size_t i = 0; i < group.size(); ++i) {
        const auto id = std::as_const(ids.codes).view().row(group[i]).span();
        detail::last_distances(codebooks, vectors.row(group[i]), id.first(last), distances);
        std::copy(distances.begin(), distances.end(),
                  table.view().row(static_cast<Index>(i)).begin());
      }
      std::vector<std::int32_t> codes(group.size());
      sinkhorn.assign(table, {codes.data(), {std::ssize(codes)}});
      for (std::size_t i = 0; i < group.size(); ++i) {
        std::int32_t& code = ids.codes.view()(group[i], static_cast<Index>(last));
        changed = changed || code != codes[i];
        code = codes[i];
      }
    }
  }
  return ids;
}

/// The ids of vectors under these codebooks with collisions treated as asked; what Sinkhorn leaves
/// together moves to the nearest free id.
///
/// Errors  ConfigError: items that must be told apart, and fewer ids than items
template <Codebooks C>
SemanticIds resolve_collisions(const C& codebooks, MatrixArg<float> vectors, const SemanticIds& ids,
                               Collision collision) {
  switch (collision) {
  case Collision::nearest_free:
    return move_to_nearest_free(codebooks, vectors, ids);
  case Collision::sinkhorn:
    return move_to_nearest_free(codebooks, vectors, spread_groups(codebooks, vectors, ids));
  default:
    return resolve_collisions(ids, collision);
  }
}

}  // namespace simgr::SIMGR_ABI::tokenizer
