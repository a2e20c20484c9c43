// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <type_traits>

#include <simgr/baselines/defaults.hpp>
#include <simgr/baselines/lc_rec.hpp>
#include <simgr/encoder/causal_lm.hpp>
#include <simgr/encoder/prompt_embedding.hpp>
#include <simgr/encoder/transformer.hpp>
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

// Published language models as encoders of prompts; io::Backbone opens their folders.

/// Qwen2, Qwen2.5, Qwen3, Llama 2 and 3: all weights trained, adapters on a frozen model, or a frozen
/// model alone, as its Adapters say. Digits of semantic ids are always trained.
using DecoderLm = CausalLm<PromptEmbedding, Lora<Linear>>;
/// The same with a frozen model in bfloat16, half the memory; for adapters and for digits alone.
using NarrowDecoderLm = CausalLm<NarrowPromptEmbedding, Lora<Narrow<Linear>>>;
using Gpt2 = TransformerEncoder<PromptEmbedding, Causal, PreNorm, GeluTanh>;
/// BERT and MiniLM. CausalBert is the same weights with tokens that see the past alone, so that it
/// can spell items.
using Bert = TransformerEncoder<PromptEmbedding, Bidirectional, PostNorm, GeluErf>;
using CausalBert = TransformerEncoder<PromptEmbedding, Causal, PostNorm, GeluErf>;

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
/// and either for the next item by the other. Trained without them: FitOptions::alignment = 0.
template <Encoder E>
using AlignedLcRecOver =
    with_tasks<LcRecOver<E>, NextItem, ItemToIndex, IndexToItem, HistoryToText, TextsToIndex>;

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

/// For fine-tuning: the sizes are the folder's, rates those usual for language models.
template <class Model>
inline constexpr Defaults<Model> over_language_model = [] {
  Defaults<Model> defaults;
  defaults.model.encoder.max_length = 20;
  if constexpr (requires { defaults.model.similarity.temperature; }) {
    defaults.model.similarity.temperature = 0.07;
  }
  if constexpr (requires { defaults.model.encoder.adapters; }) {
    constexpr bool narrow = std::is_same_v<typename Model::EncoderType, NarrowDecoderLm>;
    defaults.model.encoder.adapters = {.rank = 0, .frozen = narrow};
  }
  defaults.fit = {.epochs = 4,
                  .batch = 64,
                  .per_user = 1,
                  .clip = 1,
                  .optimizer = {.rate = 3e-4, .weight_decay = 0.01},
                  .schedule = {.kind = train::Schedule::cosine, .warmup = 0.1}};
  return defaults;
}();

}  // namespace simgr::SIMGR_ABI::baselines
