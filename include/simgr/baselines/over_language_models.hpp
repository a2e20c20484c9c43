// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/baselines/backbones.hpp>
#include <simgr/baselines/lc_rec.hpp>
#include <simgr/encoder/causal_lm.hpp>
#include <simgr/encoder/prompt_embedding.hpp>
#include <simgr/loss/cross_entropy.hpp>
#include <simgr/loss/digit_cross_entropy.hpp>
#include <simgr/pooler/digit_heads.hpp>
#include <simgr/pooler/positions.hpp>
#include <simgr/pooler/sequence.hpp>
#include <simgr/recommender.hpp>
#include <simgr/similarity/candidates.hpp>
#include <simgr/similarity/digit_codebooks.hpp>
#include <simgr/similarity/inner_product.hpp>
#include <simgr/similarity/scaled_cosine.hpp>

namespace simgr::SIMGR_ABI::baselines {

/// SimGR as the paper has it, on a language model: a user is the state at the prompt's end, an item
/// the plain mean of its digits' vectors, which are rows of the vocabulary (variant A).
///
/// @tparam User  LastPosition, or SequenceMean for encoders that were trained to be averaged
///
/// Source  arXiv 2602.07847; how a prompt is worded and that the digits are read from the vocabulary
///         is inferred
template <Encoder E, Pooler User = LastPosition>
using SimGrOver = Recommender<E, User, ScaledCosine<PooledDigits<Mean>>, ItemCrossEntropy<>>;

/// Variant B: an item's digits go through the language model, and its vector is their states' mean.
template <Encoder E, Pooler User = LastPosition>
using SimGrEncodedOver = Recommender<E, User, ScaledCosine<EncodedItems>, ItemCrossEntropy<>>;

/// LC-Rec with its authors' mixture of tasks: besides the next item by its id, ids by texts, texts by ids,
/// and either for the next item by the other; and with IIRG's, an item's neighbours by their ids. Trained
/// without them: FitOptions::alignment = 0; collaborative = semantic = 0, as in over_language_model.
template <Encoder E>
using AlignedLcRecOver = with_tasks<LcRecOver<E>, NextItem, ItemToIndex, IndexToItem, HistoryToText,
                                    TextsToIndex, CollaborativeNeighbours, SemanticNeighbours>;

/// RPG's heads on a language model: all digits at once from the state at the prompt's end.
template <Encoder E>
using RpgOver =
    Recommender<E, DigitHeads<LastPosition>, ScaledCosine<DigitCodebooks>, DigitCrossEntropy>;

/// E4SRec: an item of the history is one token, its vector from a SASRec trained before, mapped to the
/// model's width; the state at the prompt's end is compared with a trained row of each item.
///
/// Source  Li et al., "E4SRec: An Elegant Effective Efficient Extensible Solution of Large Language
///         Models for Sequential Recommendation", arXiv 2312.02443
using E4SRec = Recommender<CausalLm<VectorPromptEmbedding, Lora<Linear>>, LastPosition,
                           InnerProduct<OwnItems>, ItemCrossEntropy<>>;

}  // namespace simgr::SIMGR_ABI::baselines
