// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/encoder/causal_lm.hpp>
#include <simgr/encoder/frozen_tokens.hpp>
#include <simgr/io/language_model_facts.hpp>
#include <simgr/nn/narrow.hpp>

// A published decoder-only model as the benches run it.

namespace bench {

/// Every matrix as bfloat16, maps of type Projection.
template <class Projection = simgr::Narrow<simgr::Linear>>
using PublishedModel = simgr::CausalLm<simgr::FrozenTokens, Projection>;

template <class Model>
typename Model::Config config_of(const simgr::io::LanguageModelFacts& facts) {
  typename Model::Config config;
  config.width = facts.width;
  config.layers = facts.layers;
  config.heads = facts.heads;
  config.kv_heads = facts.key_value_heads;
  config.head_width = facts.head_width;
  config.inner = facts.inner;
  config.max_length = 1024;
  config.epsilon = facts.epsilon;
  config.biased = facts.query_key_value_bias;
  config.head_norm = facts.query_key_norm;
  config.angles = facts.angles;
  config.catalogue.items = facts.vocabulary;
  return config;
}

}  // namespace bench
