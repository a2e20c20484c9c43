// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/core/digit_products.hpp>
#include <simgr/core/fields.hpp>
#include <simgr/similarity/candidates.hpp>

namespace simgr::SIMGR_ABI {

/// The codes of all digits, read from the encoder's own digit table: the state of digit j is
/// compared with codes, and no item as a whole has a vector.
///
///   log p_j = log softmax over the codes that compete of  state_j · code
///
/// Config  support   which codes compete: those of digit j (RPG), or those of all digits (a language
///                   model's vocabulary)
struct DigitCodebooks {
  using States = flow::DigitStates;
  using Scores = flow::DigitScores;
  struct Config {
    DigitSupport support = DigitSupport::level;

    template <class F, class C>
    static void for_each_field(C& c, F&& f) {
      f(Field{"support", 0, 1, "which codes compete with a digit's own"}, c.support);
    }
  };
  template <class E>
  struct Over : detail::LentRows<Config> {
    static_assert(E::EmbeddingType::needs_ids,
                  "simgr: DigitCodebooks needs an Encoder that reads digits (SemanticEmbedding or "
                  "PooledDigitEmbedding); after ItemEmbedding use TiedItems or OwnItems");
    static constexpr bool reads_digit_table = true;
  };
};

}  // namespace simgr::SIMGR_ABI
