// SPDX-License-Identifier: Apache-2.0
// expect: simgr: an EncoderDecoder reads a history for one target and needs EveryDigitOfLast
#include <simgr/baselines/lc_rec.hpp>
#include <simgr/encoder/encoder_decoder.hpp>

using namespace simgr;

Recommender<EncoderDecoder<SemanticEmbedding>, EveryDigit, InnerProduct<DigitCodebooks>,
            DigitCrossEntropy, ranker::TrieBeam>::Config config;
