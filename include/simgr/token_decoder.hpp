// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include <simgr/core/digit_products.hpp>
#include <simgr/core/items_view.hpp>
#include <simgr/core/ragged.hpp>

namespace simgr::SIMGR_ABI {

/// An autoregressive model and a batch of histories bound together, as rankers of tokens read them
/// (ranker/child_scores.hpp): the encoder's steps, and the similarity of their states to the codes.
///
/// @tparam Parts  the Composition
///
/// Owns nothing; histories are not empty and not longer than the encoder reads.
template <class Parts, class T, class Space = Host>
struct TokenDecoder {
  using E = typename Parts::EncoderType;
  using S = typename Parts::SimilarityType;
  /// What it keeps between steps.
  struct State {
    typename E::template State<T, Space> encoder;
    typename S::template QueryCache<T, Space> queries;
  };

  const typename Parts::Config& config;
  const typename Parts::template Params<T, Space>& params;
  Matrix<const T, Space> embedding_rows, keys;
  ItemsView<Space> items;
  RaggedView<ItemId> histories;
  State& state;

  Index rows() const noexcept { return histories.sequences(); }
  Index width() const noexcept { return keys.cols(); }
  DigitSupport support() const noexcept {
    if constexpr (requires { config.similarity.support; }) {
      return config.similarity.support;
    } else {
      return config.candidates.support;
    }
  }

  template <class Ctx>
  Matrix<const T, Space> begin(Ctx& ctx) const {
    return queries(E::begin(config.encoder, params.encoder, embedding_rows, items, histories,
                            state.encoder, ctx),
                   ctx);
  }
  // Of models that compare whole items, too: see ranker/hybrid_beam.hpp.
  template <class Ctx>
  Matrix<const T, Space> begin(Ctx& ctx, Matrix<T, Space> ends) const {
    return queries(E::begin(config.encoder, params.encoder, embedding_rows, items, histories,
                            state.encoder, ctx, ends),
                   ctx);
  }
  template <class Ctx>
  void read(Ctx& ctx, Matrix<T, Space> ends) const {
    E::read_ends(config.encoder, params.encoder, embedding_rows, items, histories, state.encoder,
                 ends, ctx);
  }
  template <class Ctx>
  auto item_scores(Ctx& ctx, Matrix<T, Space> ends) const {
    return S::item_scores(config.similarity, items, ends, keys, ctx);
  }
  template <class Ctx>
  Matrix<const T, Space> step(Ctx& ctx, Index depth, std::span<const std::int32_t> parents,
                              std::span<const std::int32_t> rows) const {
    return queries(E::step(config.encoder, params.encoder, embedding_rows, depth, parents, rows,
                           state.encoder, ctx),
                   ctx);
  }
  template <class Ctx>
  void scores(Ctx& ctx, Matrix<const T, Space> of, Index first, Matrix<T, Space> out) const {
    const Index codes = keys.rows() - items.digit_starts.back();  // they come last
    gemm_nt(ctx, of, keys.slice(codes + first, out.cols()), out, Write::assign);
  }

private:
  template <class Ctx>
  Matrix<const T, Space> queries(Matrix<T, Space> states, Ctx& ctx) const {
    return S::queries(config.similarity, params.similarity, states, state.queries, ctx);
  }
};

}  // namespace simgr::SIMGR_ABI
