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
  bool shared = false;                 // the first sequence is the beginning of all others
};

/// Where sequences begin among the tokens without a shared beginning.
template <class S, class Ctx>
Offsets offsets_of_own_tokens(const HistoryTokens& tokens, Ctx& ctx) {
  const Vector<Index, S> own =
      ctx.template take<Index>(static_cast<Index>(tokens.offsets.size()) - 1);
  for (Index s = 0; s < own.size(); ++s) {
    own[s] = tokens.offsets[static_cast<std::size_t>(s) + 1] - tokens.offsets[1];
  }
  return Offsets(own.span());
}

/// One token an item, one a digit, or one a vector of its set, as the embedding says.
///
/// @param targets  empty; or of every item of the histories the next one (of prompts, one for each),
///                 for a decoder in the same sequence: all digits but the last of a history's last
///                 target follow it
/// @param share    whether words that all prompts begin with may stand once, before all
template <class Embedding, class S, class Ctx>
HistoryTokens tokens_of_histories(const typename Embedding::Shape& shape, const ItemsView<S>& items,
                                  RaggedView<ItemId> history, std::span<const ItemId> targets,
                                  Ctx& ctx, [[maybe_unused]] bool share = false) {
  if constexpr (requires { Embedding::reads_prompt; }) {
    return Embedding::lay_out(shape, items, history, targets, ctx, share);
  } else if constexpr (Embedding::row_per_item) {
    return {history.values, history.offsets};
  } else {
    const Index per_item = Embedding::tokens_per_item(shape);
    const Index more = targets.empty() ? 0 : per_item - 1;  // tokens of each sequence
    const Vector<std::int32_t, S> rows =
        ctx.template take<std::int32_t>(history.tokens() * per_item + history.sequences() * more);
    const Vector<Index, S> offsets = ctx.template take<Index>(history.sequences() + 1);
    Index next = 0;
    const auto spell = [&](ItemId item, Index digits) {
      for (Index l = 0; l < digits; ++l) {
        rows[next++] = Embedding::needs_ids ? items.digit_rows(item, l)
                                            : static_cast<std::int32_t>(item * per_item + l);
      }
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

/// Tokens of the longest history and of all digits but the last of an item behind it, or of a mask.
template <class Embedding>
Index tokens_of_items(Index max_length, const typename Embedding::Shape& shape) {
  if constexpr (requires { Embedding::reads_prompt; }) {
    return shape.own.longest;
  } else if constexpr (requires { Embedding::has_mask; }) {
    return max_length + 1;
  } else {
    return (max_length + 1) * Embedding::tokens_per_item(shape) - 1;
  }
}

/// Tokens that are rows as they stand.
struct GatheredRows {
  template <class T, class S = Host>
  struct Cache {};

  template <class Shape, class Params, class T, class S, class Ctx>
  static Matrix<T, S> forward(const Shape& shape, const Params&, Matrix<const T, S> rows,
                              RaggedView<ItemId>, const HistoryTokens& tokens, Cache<T, S>&,
                              Ctx& ctx) {
    const Matrix<T, S> x =
        ctx.template take<T>(static_cast<Index>(tokens.rows.size()), shape.width);
    gather_rows(ctx, rows, tokens.rows, x);
    return x;
  }
  /// @param factor  what the tokens are multiplied by afterwards
  template <class Shape, class Params, class T, class S, class Ctx>
  static void backward(const Shape&, const Params&, const Params&, Matrix<T, S> dx, T factor,
                       Matrix<T, S> drows, const HistoryTokens& tokens, const Cache<T, S>&,
                       Ctx& ctx) {
    scatter_add_rows(ctx, dx, tokens.rows, factor, drows);
  }
};

namespace detail {
template <class Embedding>
struct TokensOf {
  using Type = GatheredRows;
};
template <class Embedding>
  requires requires {
    typename Embedding::Tokens;
  }
struct TokensOf<Embedding> {
  using Type = typename Embedding::Tokens;
};
}  // namespace detail

}  // namespace simgr::SIMGR_ABI
