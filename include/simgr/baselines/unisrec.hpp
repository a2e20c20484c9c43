// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/baselines/defaults.hpp>
#include <simgr/encoder/text_mixture_embedding.hpp>
#include <simgr/encoder/transformer.hpp>
#include <simgr/loss/cross_entropy.hpp>
#include <simgr/pooler/positions.hpp>
#include <simgr/recommender.hpp>
#include <simgr/similarity/candidates.hpp>
#include <simgr/similarity/scaled_cosine.hpp>
#include <simgr/train/sequence_contrast.hpp>

namespace simgr::SIMGR_ABI::baselines {

/// UniSRec: an item is a mixture of maps of its text vector, in histories and as a candidate alike. It may
/// be pre-trained by contrasts within batches, then learns a softmax over scaled cosines with the whole
/// catalogue.
///
///   UniSRec model(catalogue);
///   train::pretrain(model, split, {.epochs = 20});
///   model.fit(split, unisrec_defaults.fit);
///
/// With encoder.embedding.item_rows, its authors' transductive setting, an item has a trained row
/// besides; without, the inductive one, texts are all there is.
///
/// Variant: fine-tuning trains every weight; theirs leaves positions and blocks as pre-training made them.
///
/// Source  Hou et al., "Towards Universal Sequence Representation Learning for Recommender Systems",
///         KDD 2022, section 2
using UniSRec = Recommender<TransformerEncoder<TextMixtureEmbedding, Causal, PostNorm,
                                               GeluErf>,  // history -> [tokens, width]
                            EveryPosition,                //         -> [tokens, width]
                            ScaledCosine<TiedItems>,      //         -> [tokens, items]
                            ItemCrossEntropy<>>;

/// Theirs but for batches of 8,192, and for the epochs, 300 over five other domains. Here none unless
/// asked for: what pre-training on the target's own data is worth has not been measured.
inline constexpr train::ContrastOptions unisrec_pretraining{.epochs = 0};

/// Section 3.1.4 and the published configuration: 8 experts, 2 layers, 2 heads, width 300, inner width
/// 256, dropout .5, of texts .2, temperature .07; narrower here, for one processor. The setting is the
/// transductive one, which is better wherever its authors have both.
inline constexpr Defaults<UniSRec> unisrec_defaults{
    .model = {.encoder = {.width = 64,
                          .layers = 2,
                          .heads = 2,
                          .inner = 256,
                          .max_length = 50,
                          .dropout = 0.5,
                          .attention_dropout = 0.5,
                          .epsilon = 1e-12,
                          .embedding = {.item_rows = true}},
              .similarity = {.temperature = 0.07}},
    .fit = {.epochs = 40,
            .batch = 512,
            .optimizer = {.rate = 3e-3},
            .schedule = {.kind = train::Schedule::cosine, .warmup = 0.02}},
    .space = cosine_space};

}  // namespace simgr::SIMGR_ABI::baselines
