// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include <simgr/core/items_view.hpp>
#include <simgr/core/ragged.hpp>

namespace simgr::SIMGR_ABI {

/// Histories as tokens: which row of the embedding each reads, and where each sequence begins.
struct HistoryTokens {
  std::span<const std::int32_t> rows;  // [tokens]
  Offsets offsets;                     // [sequences + 1], in tokens
};

/// One token an item, or one a digit, as the embedding says.
///
/// @param targets  empty; or of every item of the histories the next one, for a decoder in the same
///                 sequence: all digits but the last of a history's last target follow it
template <class Embedding, class S, class Ctx>
HistoryTokens tokens_of_histories(const typename Embedding::Shape& shape, const ItemsView<S>& items,
                                  RaggedView<ItemId> history, std::span<const ItemId> targets,
                                  Ctx& ctx) {
  if constexpr (Embedding::row_per_item) {
    return {history.values, history.offsets};
  } else {
    const Index per_item = Embedding::tokens_per_item(shape);
    const Index more = targets.empty() ? 0 : per_item - 1;  // tokens of each sequence
    const Vector<std::int32_t, S> rows =
        ctx.template take<std::int32_t>(history.tokens() * per_item + history.sequences() * more);
    const Vector<Index, S> offsets = ctx.template take<Index>(history.sequences() + 1);
    Index next = 0;
    const auto spell = [&](ItemId item, Index digits) {
      for (Index l = 0; l < digits; ++l) { rows[next++] = items.digit_rows(item, l); }
    };
    for (Index s = 0; s < history.sequences(); ++s) {
      offsets[s] = next;
      for (const ItemId item : history[s]) { spell(item, per_item); }
      if (more > 0) {
        const Index end = history.offsets[static_cast<std::size_t>(s) + 1];
        spell(targets[static_cast<std::size_t>(end - 1)], more);
      }
    }
    offsets[history.sequences()] = next;
    return {std::span<const std::int32_t>(rows.span()), Offsets(offsets.span())};
  }
}

}  // namespace simgr::SIMGR_ABI
