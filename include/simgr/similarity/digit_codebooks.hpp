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
  template <class E>
  struct Over {
    static_assert(E::EmbeddingType::needs_ids,
                  "simgr: DigitCodebooks needs an Encoder that reads digits (SemanticEmbedding or "
                  "PooledDigitEmbedding); after ItemEmbedding use TiedItems or OwnItems");
    struct Config {
      DigitSupport support = DigitSupport::level;

      template <class F, class C>
      static void for_each_field(C& c, F&& f) {
        f(Field{"support", 0, 1, "which codes compete with a digit's own"}, c.support);
      }
    };
    using Shape = CandidatesShape<Config>;
    static constexpr bool encodes_items = false, reads_digit_table = true;
    template <class T, class S = Host>
    struct Params {};
    template <class T, class S = Host>
    struct Cache {};
    template <class F, class... P>
    static void for_each_parameter(const Shape&, F&&, P&...) {}

    template <class T, class S, class Ctx>
    static Matrix<const T, S> vectors(const Shape&, const Params<T, S>&, Matrix<const T, S> table,
                                      const ItemsView<S>&, Cache<T, S>&, Ctx&) {
      return table;
    }
    template <class T, class S, class Ctx>
    static Matrix<T, S> gradient(const Shape&, const Params<T, S>&, Matrix<T, S> dtable, Ctx&) {
      return dtable;
    }
    template <class T, class S, class Ctx>
    static void backward(const Shape&, const Params<T, S>&, const Params<T, S>&, MatrixArg<T, S>,
                         const ItemsView<S>&, MatrixArg<T, S>, Matrix<T, S>, const Cache<T, S>&,
                         Ctx&) {}
  };
};

}  // namespace simgr::SIMGR_ABI
