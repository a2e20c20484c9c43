// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include <simgr/core/arena.hpp>
#include <simgr/core/items_view.hpp>
#include <simgr/core/ragged.hpp>
#include <simgr/flow.hpp>

namespace simgr::SIMGR_ABI {

/// An encoder that is asked what stands behind the masks of a history. A history without one gets one
/// behind its last item, so that serving asks for the next.
///
///   states of Inner(history, mask?) at the masks, in their order
///
/// @tparam Inner  TransformerEncoder<MaskedItemEmbedding, Bidirectional, …>: what reads the history
///
/// Shapes      history packed, the mask being item `items` -> states [masks, width]
/// Parameters  those of Inner, whose positions count one more than max_length: the mask's
/// Cache       that of Inner, and where the masks stand; offsets [sequences + 1] count masks
/// Cost        that of Inner: no position is computed for nothing but those of hidden items
/// Source      Sun et al. 2019 (BERT4Rec), sections 3.3 and 3.6
template <class Inner>
struct ClozeEncoder : Inner {
  using typename Inner::Config, typename Inner::EmbeddingType;
  static_assert(
      requires { EmbeddingType::has_mask; },
      "simgr: ClozeEncoder hides items and needs an Encoder over MaskedItemEmbedding");

  using Out = flow::MaskStates;
  template <class T, class S = Host>
  using Params = typename Inner::template Params<T, S>;
  template <class T, class S = Host>
  struct Cache {
    typename Inner::template Cache<T, S> inner;
    Offsets offsets;                      // [sequences + 1], in masks
    std::span<const std::int32_t> masks;  // [masks], their tokens
    Index tokens = 0;
  };

  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const Config& c, const Params<T, S>& p, MatrixArg<T, S> rows,
                              const ItemsView<S>& items, RaggedView<ItemId> history,
                              Cache<T, S>& cache, Ctx& ctx) {
    const Matrix<T, S> states =
        Inner::forward(c, p, rows, items, masked(c, history, cache, ctx), cache.inner, ctx);
    const Matrix<T, S> y =
        ctx.template take<T>(static_cast<Index>(cache.masks.size()), states.cols());
    gather_rows(ctx, states, cache.masks, y);
    return y;
  }
  /// Of histories without a mask: the last block computes nothing else.   -> [sequences, width]
  template <class T, class S, class Ctx>
  static Matrix<T, S> forward_last(const Config& c, const Params<T, S>& p, MatrixArg<T, S> rows,
                                   const ItemsView<S>& items, RaggedView<ItemId> history,
                                   Cache<T, S>& cache, Ctx& ctx) {
    return Inner::forward_last(c, p, rows, items, masked(c, history, cache, ctx), cache.inner, ctx);
  }
  template <class T, class S, class Ctx>
  static void backward(const Config& c, const Params<T, S>& p, const Params<T, S>& grad,
                       MatrixArg<T, S> dstates, Matrix<T, S> drows, const Cache<T, S>& cache,
                       Ctx& ctx) {
    const Matrix<T, S> dall = ctx.template take<T>(cache.tokens, dstates.cols());
    fill(ctx, dall, T(0));
    scatter_add_rows(ctx, dstates, cache.masks, T(1), dall);
    Inner::backward(c, p, grad, MatrixArg<T, S>(dall), drows, cache.inner, ctx);
  }

private:
  /// The histories with a mask in each, in the arena.
  template <class Kept, class Ctx>
  static RaggedView<ItemId> masked(const Config& c, RaggedView<ItemId> history, Kept& cache,
                                   Ctx& ctx) {
    const auto mask = static_cast<ItemId>(c.catalogue.items);
    const Index sequences = history.sequences(), most = history.tokens() + sequences;
    const auto values = ctx.template take<ItemId>(most);
    const auto places = ctx.template take<std::int32_t>(most);
    const auto offsets = ctx.template take<Index>(sequences + 1),
               masks = ctx.template take<Index>(sequences + 1);
    Index next = 0, found = 0;
    for (Index s = 0; s < sequences; ++s) {
      offsets[s] = next;
      masks[s] = found;
      const auto put = [&](ItemId item) {
        if (item == mask) {
          places[found++] = static_cast<std::int32_t>(next);
        }
        values[next++] = item;
      };
      for (const ItemId item : history[s]) { put(item); }
      if (found == masks[s]) {
        put(mask);
      }
    }
    offsets[sequences] = next;
    masks[sequences] = found;
    cache.offsets = Offsets(masks.span());
    cache.masks = std::span<const std::int32_t>(places.slice(0, found).span());
    cache.tokens = next;
    return {std::span<const ItemId>(values.slice(0, next).span()), Offsets(offsets.span())};
  }
};

}  // namespace simgr::SIMGR_ABI
