// SPDX-License-Identifier: Apache-2.0
// expect: simgr: EncoderAndQueries has a query for each vector of an item
#include <simgr/encoder/encoder_and_queries.hpp>
#include <simgr/encoder/semantic_embedding.hpp>

using namespace simgr;

EncoderAndQueries<SemanticEmbedding>::Config config;
