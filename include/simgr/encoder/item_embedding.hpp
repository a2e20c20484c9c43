// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/core/fields.hpp>
#include <simgr/core/items_view.hpp>
#include <simgr/core/parameter.hpp>

// What a token of a history looks like. An embedding is a type with
//
//   struct Config { … };                            with static for_each_field
//   DigitPooler                                     what turns digits into an item's row, or void
//   row_per_item                                    one row for each item, so that items can be tied
//                                                   to candidates; otherwise rows of digits, or of
//                                                   sets: tokens_per_item rows of each item
//   needs_ids                                       whether it reads semantic ids
//   tokens_per_item(shape)
//   for_each_parameter(Shape, f, params...)
//   rows(shape, params, items, cache, ctx)          once a step for all histories -> [rows, width]
//   rows_gradient(shape, grad, ctx)                 -> where the gradient of the rows is added up
//   rows_backward(shape, params, grad, items, drows, cache, ctx)
//                                                   once a step: from there to the parameters
//   params.table                                    the table of items or digits itself: what
//                                                   DigitCodebooks are tied to; params.outputs, where
//                                                   there are some, in its place
//
// One with a loss of its own, apart from any batch, has
//
//   own_loss(shape, params, grad, drows, cache, ctx)  once a step, before rows_backward -> its value;
//                                                   adds its gradient to grad and drows
//
// Histories are gathers from `rows`, of which those of digits come last. One whose tokens are more
// than a row has Tokens besides, as GatheredRows (encoder/history_tokens.hpp); one that reads a history
// as a prompt has `reads_prompt` and lays its tokens out itself (encoder/prompt_embedding.hpp).

namespace simgr::SIMGR_ABI {

/// Sizes and numbers an embedding is built from.
template <class EmbeddingConfig>
struct EmbeddingShape {
  Index width = 0;
  CatalogueSizes catalogue{};
  EmbeddingConfig own{};
  Index max_length = 0;  // most items of a history, where places count
  bool frozen = false;   // whether what comes from a language model stays as it is
};

/// What has a row in a trained table: every item, every item and the mask behind them, or every code of
/// every digit.
enum class TableRows { items, items_and_mask, codes };

/// A trained table that histories read as it is.
///
/// Parameters  items [items, width] or, with a mask, [items + 1, width];  or digits [Σ codes, width]:
///             code c of digit l is row first_row(l) + c
/// Gradients   land in the table's own gradient: no buffer between
template <TableRows kind>
struct TableEmbedding {
  struct Config {
    double deviation = 0.02;  // of the first values

    template <class F, class C>
    static void for_each_field(C& c, F&& f) {
      f(Field{"deviation", 0, 10, "standard deviation of the first values"}, c.deviation);
    }
  };
  using Shape = EmbeddingShape<Config>;
  using DigitPooler = void;
  static constexpr bool row_per_item = kind != TableRows::codes, needs_ids = !row_per_item;
  template <class Sizes>
  static Index tokens_per_item(const Sizes& shape) noexcept {
    return row_per_item ? 1 : shape.catalogue.digits;
  }

  template <class T, class S = Host>
  struct Params {
    Matrix<T, S> table;
  };
  template <class T, class S = Host>
  struct Cache {};

  // `Sizes` is Shape, or that of an embedding that has such a table as a part.
  template <class Sizes, class F, class... P>
  static void for_each_parameter(const Sizes& shape, F&& f, P&... p) {
    const Index rows = row_per_item
                           ? shape.catalogue.items + (kind == TableRows::items_and_mask ? 1 : 0)
                           : shape.catalogue.table_rows;
    f(Spec<2>{row_per_item ? "items" : "digits",
              {rows, shape.width},
              Init::normal(shape.own.deviation)},
      p.table...);
  }
  template <class T, class S, class Sizes, class Ctx>
  static Matrix<const T, S> rows(const Sizes&, const Params<T, S>& p, const ItemsView<S>&,
                                 Cache<T, S>&, Ctx&) {
    return p.table;
  }
  template <class T, class S, class Sizes, class Ctx>
  static Matrix<T, S> rows_gradient(const Sizes&, const Params<T, S>& grad, Ctx&) {
    return grad.table;
  }
  template <class T, class S, class Sizes, class Ctx>
  static void rows_backward(const Sizes&, const Params<T, S>&, const Params<T, S>&,
                            const ItemsView<S>&, MatrixArg<T, S>, const Cache<T, S>&, Ctx&) {}
};

/// One trained row for each item.
struct ItemEmbedding : TableEmbedding<TableRows::items> {};

/// That, and one row for the mask that hides an item.
struct MaskedItemEmbedding : TableEmbedding<TableRows::items_and_mask> {
  static constexpr bool has_mask = true;
};

}  // namespace simgr::SIMGR_ABI
