// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/core/float_formats.hpp>
#include <simgr/encoder/history_tokens.hpp>
#include <simgr/encoder/item_embedding.hpp>

namespace simgr::SIMGR_ABI {

/// The table of tokens of a published language model, frozen and kept as BFloat16: items are tokens.
/// Rows are widened as histories gather them, so that there is no matrix of all rows; who wants
/// products with all tokens reads the table itself.
///
/// Parameters  table [items, width], BFloat16
struct FrozenTokens {
  using Config = ItemEmbedding::Config;
  using Shape = EmbeddingShape<Config>;
  using DigitPooler = void;
  static constexpr bool row_per_item = true, needs_ids = false;
  static Index tokens_per_item(const Shape&) noexcept { return 1; }

  template <class T, class S = Host>
  struct Params {
    Matrix<BFloat16, S> table;
  };
  template <class T, class S = Host>
  struct Cache {};

  template <class F, class... P>
  static void for_each_parameter(const Shape& shape, F&& f, P&... p) {
    f(Spec<2>{"table",
              {shape.catalogue.items, shape.width},
              Init::normal(shape.own.deviation),
              Decay::yes,
              Trained::no,
              Storage::bf16},
      p.table...);
  }
  template <class T, class S, class Ctx>
  static Matrix<const T, S> rows(const Shape&, const Params<T, S>&, const ItemsView<S>&,
                                 Cache<T, S>&, Ctx&) {
    return {};
  }
  template <class T, class S, class Ctx>
  static Matrix<T, S> rows_gradient(const Shape&, const Params<T, S>&, Ctx&) {
    return {};
  }
  template <class T, class S, class Ctx>
  static void rows_backward(const Shape&, const Params<T, S>&, const Params<T, S>&,
                            const ItemsView<S>&, MatrixArg<T, S>, const Cache<T, S>&, Ctx&) {}

  /// Tokens that are rows of the table.
  struct Tokens {
    template <class T, class S = Host>
    struct Cache {};

    template <class T, class S, class Ctx>
    static Matrix<T, S> forward(const Shape& shape, const Params<T, S>& p, Matrix<const T, S>,
                                RaggedView<ItemId>, const HistoryTokens& tokens, Cache<T, S>&,
                                Ctx& ctx) {
      const Matrix<T, S> x =
          ctx.template take<T>(static_cast<Index>(tokens.rows.size()), shape.width);
      gather_rows(ctx, p.table, tokens.rows, x);
      return x;
    }
    template <class T, class S, class Ctx>
    static void backward(const Shape&, const Params<T, S>&, const Params<T, S>&, Matrix<T, S>, T,
                         Matrix<T, S>, const HistoryTokens&, const Cache<T, S>&, Ctx&) {}
  };
};

}  // namespace simgr::SIMGR_ABI
