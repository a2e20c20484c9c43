// SPDX-License-Identifier: Apache-2.0
// expect: simgr: TiedItems needs an Embedding with one row for each item
#include <simgr/baselines/sasrec.hpp>
#include <simgr/encoder/semantic_embedding.hpp>

using namespace simgr;

Recommender<TransformerEncoder<SemanticEmbedding, Causal>, EveryPosition, InnerProduct<TiedItems>,
            ItemCrossEntropy<>>::Config config;
