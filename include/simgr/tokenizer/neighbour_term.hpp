// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <simgr/core/ragged.hpp>
#include <simgr/core/rng.hpp>
#include <simgr/cpu/elementwise.hpp>
#include <simgr/cpu/gather.hpp>
#include <simgr/cpu/gemm.hpp>
#include <simgr/cpu/norm.hpp>
#include <simgr/cpu/softmax.hpp>
#include <simgr/nn/info_nce.hpp>
#include <simgr/tokenizer/fit_rq_vae.hpp>

namespace simgr::SIMGR_ABI::tokenizer {

/// The contrastive term of an autoencoder: the latent of an item must find that of its neighbour among
/// those of the other pairs, and the neighbour that of the item.
///
///   weight / pairs · Σ_i InfoNCE(encoder(x_i), encoder(x_pairs+i)),  symmetric
///
/// Shapes     x [2 pairs, in]: the items, then the neighbour of each in the same order
/// Gradients  those of the encoder accumulate
/// Cost       the encoder over 2 pairs rows, and [pairs, pairs] products
template <class T, class Ctx>
double neighbour_term(const RqVae::Config& shape, const InfoNce::Config& config,
                      const RqVae::Params<T>& params, const RqVae::Params<T>& gradients,
                      MatrixArg<T> x, T weight, Ctx& ctx) {
  const Arena::Scope scope(ctx.arena);
  ReluLayers::Cache<T> cache;
  const Matrix<T> z = ReluLayers::forward(shape.encoder(), params.encoder, x, cache, ctx);
  const Matrix<T> dz = ctx.template take<T>(z.rows(), z.cols());
  fill(ctx, dz, T(0));
  const Index pairs = x.rows() / 2;
  const double value = InfoNce::value_and_gradient(
      config, MatrixArg<T>(z.slice(0, pairs)), MatrixArg<T>(z.slice(pairs, pairs)),
      weight / static_cast<T>(pairs), dz.slice(0, pairs), dz.slice(pairs, pairs), ctx);
  ReluLayers::backward(shape.encoder(), params.encoder, gradients.encoder, MatrixArg<T>(dz), cache,
                       ctx);
  return value;
}

/// The same as fit_rq_vae takes it: every step draws pairs anew, an item that has neighbours and one of
/// its first ones, each with equal probability, whatever is in the batch.
class NeighbourTerm {
public:
  /// @param neighbours  of every item, best first
  /// @param first       how many of them are drawn from
  NeighbourTerm(RaggedView<ItemId> neighbours, Index first, Index pairs,
                const InfoNce::Config& config, double weight, std::uint64_t seed)
      : neighbours_(neighbours), first_(first), pairs_(pairs), config_(config), weight_(weight),
        seed_(seed) {
    for (Index item = 0; item < neighbours.sequences(); ++item) {
      if (!neighbours[item].empty()) {
        known_.push_back(static_cast<ItemId>(item));
      }
    }
  }

  void begin_epoch(Index, const RqVae::Params<float>&) {}

  template <class Ctx>
  double operator()(Ctx& ctx, const RqVaeBatch& batch) {
    if (weight_ == 0 || known_.empty()) {
      return 0;
    }
    const Arena::Scope scope(ctx.arena);
    Rng rng(seed_, 0x70616972, ++step_ << 32);
    const auto pairs = static_cast<std::size_t>(pairs_);
    rows_.resize(2 * pairs);
    for (std::size_t i = 0; i < pairs; ++i) {
      rows_[i] = known_[static_cast<std::size_t>(rng.below(std::ssize(known_)))];
      const std::span<const ItemId> near = neighbours_[rows_[i]];
      rows_[pairs + i] =
          near[static_cast<std::size_t>(rng.below(std::min(std::ssize(near), first_)))];
    }
    const auto x = ctx.template take<float>(2 * pairs_, batch.vectors.cols());
    gather_rows(ctx, batch.vectors, std::span<const ItemId>(rows_), x);
    return neighbour_term<float>(batch.shape, config_, batch.params, batch.gradients, x,
                                 static_cast<float>(weight_), ctx);
  }

private:
  RaggedView<ItemId> neighbours_;
  Index first_, pairs_;
  InfoNce::Config config_;
  double weight_;
  std::uint64_t seed_, step_ = 0;
  std::vector<ItemId> known_;  // items that have neighbours
  std::vector<ItemId> rows_;   // of a step: items, then neighbours
};

}  // namespace simgr::SIMGR_ABI::tokenizer
