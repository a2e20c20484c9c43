// SPDX-License-Identifier: Apache-2.0
// expect: simgr: DigitsAndTexts needs an Encoder that reads texts beside digits
#include <simgr/baselines/liger.hpp>
#include <simgr/encoder/semantic_embedding.hpp>

using namespace simgr;

Recommender<EncoderDecoderAndEnd<SemanticEmbedding>, EveryDigitAndEnd,
            ProductAndCosine<DigitsAndTexts>, DigitAndItemCrossEntropy, ranker::HybridBeam>::Config
    config;
