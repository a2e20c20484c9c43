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
  static constexpr bool spells_rows =
      false;  // of which none has an end that is compared with items
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
};

}  // namespace simgr::SIMGR_ABI
