// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>

#include <simgr/tokenizer/neighbour_term.hpp>

namespace simgr::SIMGR_ABI::tokenizer {

/// Numbers of fit_plum, checked by it: those of the RQ-VAE, with other defaults, and of the contrastive
/// term.
struct PlumConfig {
  RqVaeConfig rq_vae{.codes = 1024,
                     .shrink = 2,
                     .hidden = 512,
                     .layers = 1,
                     .latent = 256,
                     .beta = 0.25,
                     .weight = 3,  // the terms of three levels are summed, not averaged
                     .standardise = false,
                     .epochs = 200,
                     .rate = 1e-3,
                     .final_rate = 1,
                     .warmup_epochs = 0,
                     .weight_decay = 0,
                     .clip = 0,
                     .kmeans_rows = 10000,
                     .kmeans_iterations = 0,
                     .sinkhorn_levels = 0,
                     .restart_every = 0,
                     .restart_after = 30,
                     .collision = Collision::keep};
  double contrastive = 0.1;
  double temperature = 0.5;
  Index pairs = 512;
  Index neighbours = 5;

  template <class F, class C>
  static void for_each_field(C& c, F&& f) {
    RqVaeConfig::for_each_field(c.rq_vae, f);
    f(Field{"contrastive", 0, 1e3, "weight of the term that brings neighbours together"},
      c.contrastive);
    f(Field{"temperature", 1e-3, 100, "divides the cosines of that term"}, c.temperature);
    f(Field{"pairs", 2, 1 << 16, "of neighbours that a step draws"}, c.pairs);
    f(Field{"neighbours", 1, 1e6, "first ones of an item that are drawn from"}, c.neighbours);
  }
};

/// PLUM's tokenizer: an RQ-VAE with fewer codes at every level, of which neighbours have near latents.
///
///   loss = that of fit_rq_vae + contrastive · neighbour_term
///
/// Items may share an id. Neighbours, those that stand near an item in histories for instance, must be
/// of the training part alone: what they know of later interactions would be in the ids.
///
/// @param neighbours  of every item, best first; may be empty where contrastive is 0
/// @param observer    called with every RqVaeEpoch
///
/// Shapes   vectors [items, width] → ids [items, levels]
/// Results  a pure function of vectors, neighbours and config
/// Errors   those of fit_rq_vae; ShapeError: neighbours of another number of items;  DataError: none of
///          any item, one that is no item, or the item itself
/// Source   He et al., "PLUM: Adapting Pre-trained Language Models for Industrial-scale Generative
///          Recommendations", 2025, for fewer codes level by level and the term; the numbers are those of
///          IIRG's (arXiv 2606.17276) released tokenizer
template <class Observer = Silent>
FittedRqVae fit_plum(MatrixArg<float> vectors, RaggedView<ItemId> neighbours,
                     const PlumConfig& config = {}, Observer&& observer = {}) {
  if (const std::string sentence = out_of_range(config); !sentence.empty()) {
    SIMGR_THROW(ConfigError(sentence));
  }
  const Index items = vectors.rows();
  if (config.contrastive > 0) {
    if (neighbours.sequences() != items) {
      SIMGR_THROW(ShapeError("neighbours: expected those of " + std::to_string(items) +
                             " items, found those of " + std::to_string(neighbours.sequences())));
    }
    if (neighbours.tokens() == 0) {
      SIMGR_THROW(DataError("neighbours: no item has one; set contrastive to 0 to do without"));
    }
    for (Index item = 0; item < items; ++item) {
      for (const ItemId near : neighbours[item]) {
        if (near < 0 || near >= items || near == item) {
          SIMGR_THROW(DataError("neighbours: item " + std::to_string(item) + " lists " +
                                std::to_string(near) + ", expected another from 0 to " +
                                std::to_string(items - 1)));
        }
      }
    }
  }
  return fit_rq_vae(vectors, config.rq_vae, std::forward<Observer>(observer),
                    NeighbourTerm(neighbours, config.neighbours, config.pairs,
                                  {.temperature = config.temperature, .symmetric = true},
                                  config.contrastive, config.rq_vae.seed));
}

}  // namespace simgr::SIMGR_ABI::tokenizer
