// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/core/types.hpp>
#include <simgr/io/language_model_facts.hpp>

namespace simgr::SIMGR_ABI::io {

/// Numbers that the blocks of a model take from the arena in a training step for one token of a text
/// of `length` tokens: what forward leaves for backward, and the gradients of that. A T5 with a
/// decoder counts a token of each. Written down from the layers; a test holds it against them.
inline double numbers_in_training(const LanguageModelFacts& facts, Index length) {
  const Index width = facts.width, inner = facts.inner, heads = facts.heads * facts.head_width;
  const Index keys = facts.key_value_heads * facts.head_width, products = facts.heads * length;
  switch (facts.family) {
  case LanguageFamily::gpt2:
  case LanguageFamily::bert:
    return static_cast<double>(facts.layers * (18 * width + 3 * inner + products));
  case LanguageFamily::t5: {
    // With its norm. What gradients are made of is for some rows at a time, here and in the plain net.
    const Index attention = 4 * width + 4 * heads + products;
    const Index net = facts.gated ? 6 * inner + 7 * width : inner + 6 * width;
    return static_cast<double>(facts.layers * (attention + net) +
                               facts.decoder_layers * (2 * attention + width + net));
  }
  default: {
    const Index norms = facts.query_key_norm ? 2 * heads + 2 * keys : 0;
    return static_cast<double>(facts.layers *
                               (11 * width + 6 * inner + 4 * heads + 4 * keys + norms + products));
  }
  }
}

}  // namespace simgr::SIMGR_ABI::io
