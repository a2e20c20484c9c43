// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/encoder/encoder_decoder.hpp>

namespace simgr::SIMGR_ABI {

/// EncoderDecoder that also gives the state its encoder ends with, so that one reading of a history
/// both spells the next item and is compared with whole items.
///
/// Shapes      histories packed, one target each -> [targets · digits + targets, width]: what the
///             decoder says of the digits, then the encoder's state at the last token of each history
template <class Embedding, class Net = FeedForward<Relu>>
struct EncoderDecoderAndEnd : EncoderDecoder<Embedding, Net> {
  using Base = EncoderDecoder<Embedding, Net>;
  using Out = flow::TokenAndEndStates;
  using typename Base::Config;
  template <class T, class S = Host>
  using Params = typename Base::template Params<T, S>;
  template <class T, class S = Host>
  using Cache = typename Base::template Cache<T, S>;

  template <class T, class S, class Ctx>
  static Matrix<T, S> forward_targets(const Config& c, const Params<T, S>& p, MatrixArg<T, S> rows,
                                      const ItemsView<S>& items, RaggedView<ItemId> history,
                                      std::span<const ItemId> targets, Cache<T, S>& cache,
                                      Ctx& ctx) {
    const Matrix<T, S> spelt =
        Base::forward_targets(c, p, rows, items, history, targets, cache, ctx);
    const Index count = history.sequences();
    const Matrix<T, S> states = ctx.template take<T>(spelt.rows() + count, c.width);
    copy(ctx, spelt, states.slice(0, spelt.rows()), Write::assign);
    Base::copy_ends(cache.decoder.memory.states, cache.history.offsets,
                    states.slice(spelt.rows(), count), ctx);
    return states;
  }
  template <class T, class S, class Ctx>
  static void backward_targets(const Config& c, const Params<T, S>& p, const Params<T, S>& grad,
                               MatrixArg<T, S> dstates, Matrix<T, S> drows,
                               const Cache<T, S>& cache, Ctx& ctx) {
    const Index spelt = cache.offsets.back();
    Base::backward_targets(c, p, grad, dstates.slice(0, spelt), drows, cache, ctx,
                           dstates.slice(spelt, dstates.rows() - spelt));
  }

  /// -> [digits of all lists + items of all lists, width]: behind what is spelt, each item of a list
  /// has the state that the encoder ends with.
  template <class T, class S, class Ctx>
  static Matrix<T, S> forward_lists(const Config& c, const Params<T, S>& p, VectorArg<T, S> tag,
                                    MatrixArg<T, S> rows, const ItemsView<S>& items,
                                    std::span<const ItemId> asked,
                                    std::span<const std::int32_t> known, Offsets offsets,
                                    Cache<T, S>& cache, Ctx& ctx) {
    const Matrix<T, S> spelt =
        Base::forward_lists(c, p, tag, rows, items, asked, known, offsets, cache, ctx);
    const Index lists = static_cast<Index>(asked.size());
    const Matrix<T, S> ends = ctx.template take<T>(lists, c.width);
    Base::copy_ends(cache.decoder.memory.states, cache.history.offsets, ends, ctx);
    const Matrix<T, S> states =
        ctx.template take<T>(spelt.rows() + spelt.rows() / digits(c), c.width);
    copy(ctx, spelt, states.slice(0, spelt.rows()), Write::assign);
    each_end(c, cache, [&](Index list, Index row) {
      copy(ctx, ends.row(list), states.row(row), Write::assign);
    });
    return states;
  }
  template <class T, class S, class Ctx>
  static void backward_lists(const Config& c, const Params<T, S>& p, const Params<T, S>& grad,
                             MatrixArg<T, S> dstates, Vector<T, S> dtag, Matrix<T, S> drows,
                             const Cache<T, S>& cache, Ctx& ctx) {
    const Matrix<T, S> dends =
        ctx.template take<T>(static_cast<Index>(cache.offsets.size()) - 1, c.width);
    fill(ctx, dends, T(0));
    each_end(c, cache, [&](Index list, Index row) {
      copy(ctx, dstates.row(row), dends.row(list), Write::add);
    });
    Base::backward_lists(c, p, grad, dstates.slice(0, cache.offsets.back()), dtag, drows, cache,
                         ctx, MatrixArg<T, S>(dends));
  }

private:
  static Index digits(const Config& c) noexcept {
    return Embedding::tokens_per_item(c.embedding_shape());
  }
  /// visit(list, row of the end among the states) of each item of each list
  template <class T, class S, class Visit>
  static void each_end(const Config& c, const Cache<T, S>& cache, Visit&& visit) {
    Index row = cache.offsets.back();
    for (std::size_t list = 0; list + 1 < cache.offsets.size(); ++list) {
      for (Index at = cache.offsets[list]; at < cache.offsets[list + 1]; at += digits(c)) {
        visit(static_cast<Index>(list), row++);
      }
    }
  }
};

}  // namespace simgr::SIMGR_ABI
