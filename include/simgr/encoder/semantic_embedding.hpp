// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/encoder/item_embedding.hpp>

namespace simgr::SIMGR_ABI {

/// Every digit of an item's semantic id is a token of its own: a history of t items has t · digits
/// tokens.
///
/// Parameters  table [Σ codes, width]: code c of digit l is row first_row(l) + c
struct SemanticEmbedding {
  using Config = ItemEmbedding::Config;
  using Shape = EmbeddingShape<Config>;
  using DigitPooler = void;
  static constexpr bool row_per_item = false, needs_ids = true;
  static Index tokens_per_item(const CatalogueSizes& sizes) noexcept { return sizes.digits; }

  template <class T, class S = Host>
  struct Params {
    Matrix<T, S> table;
  };
  template <class T, class S = Host>
  struct Cache {};

  template <class F, class... P>
  static void for_each_parameter(const Shape& shape, F&& f, P&... p) {
    f(Spec<2>{"digits",
              {shape.catalogue.table_rows, shape.width},
              Init::normal(shape.own.deviation)},
      p.table...);
  }
  template <class T, class S, class Ctx>
  static Matrix<const T, S> rows(const Shape&, const Params<T, S>& p, const ItemsView<S>&,
                                 Cache<T, S>&, Ctx&) {
    return p.table;
  }
  template <class T, class S, class Ctx>
  static Matrix<T, S> rows_gradient(const Shape&, const Params<T, S>& grad, Ctx&) {
    return grad.table;
  }
  template <class T, class S, class Ctx>
  static void rows_backward(const Shape&, const Params<T, S>&, const Params<T, S>&,
                            const ItemsView<S>&, MatrixArg<T, S>, const Cache<T, S>&, Ctx&) {}
};

}  // namespace simgr::SIMGR_ABI
