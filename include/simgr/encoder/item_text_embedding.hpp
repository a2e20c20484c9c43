// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/core/fields.hpp>
#include <simgr/core/items_view.hpp>
#include <simgr/core/parameter.hpp>
#include <simgr/encoder/item_embedding.hpp>
#include <simgr/nn/linear.hpp>

namespace simgr::SIMGR_ABI {

/// Two rows for each item: one of its own, and one that is a map of its text's vector.
///
/// Rows        [2 items, width]: those of all items, then W text + b of all items
/// Parameters  items [items, width];  text.weight [width, text width], text.bias [width]
/// Cost        of a step: O(items · text width · width), whatever the batch
/// Gradients   texts are given: none goes to them
struct ItemTextEmbedding {
  struct Config {
    double deviation = 0.02;  // of the first values

    template <class F, class C>
    static void for_each_field(C& c, F&& f) {
      f(Field{"deviation", 0, 10, "standard deviation of the first values"}, c.deviation);
    }
  };
  using Shape = EmbeddingShape<Config>;
  using DigitPooler = void;
  static constexpr bool row_per_item = true, needs_ids = false, reads_text_vectors = true;
  static Index tokens_per_item(const Shape&) noexcept { return 1; }
  static Linear::Config text(const Shape& shape) noexcept {
    return {shape.catalogue.text_width, shape.width};
  }

  template <class T, class S = Host>
  struct Params {
    Matrix<T, S> table;
    Linear::Params<T, S> text;
  };
  template <class T, class S = Host>
  struct Cache {
    Linear::Cache<T, S> text;
  };

  template <class F, class... P>
  static void for_each_parameter(const Shape& shape, F&& f, P&... p) {
    f(Spec<2>{"items", {shape.catalogue.items, shape.width}, Init::normal(shape.own.deviation)},
      p.table...);
    Linear::for_each_parameter(text(shape), under("text", f), p.text...);
  }

  template <class T, class S, class Ctx>
  static Matrix<const T, S> rows(const Shape& shape, const Params<T, S>& p,
                                 const ItemsView<S>& items, Cache<T, S>& cache, Ctx& ctx) {
    const Matrix<T, S> texts = Linear::forward(
        text(shape), p.text, in_scalar<T>(items.text_vectors, ctx), cache.text, ctx);
    const Matrix<T, S> all = ctx.template take<T>(2 * items.items, shape.width);
    copy(ctx, p.table, all.slice(0, items.items), Write::assign);
    copy(ctx, texts, all.slice(items.items, items.items), Write::assign);
    return all;
  }
  template <class T, class S, class Ctx>
  static Matrix<T, S> rows_gradient(const Shape& shape, const Params<T, S>&, Ctx& ctx) {
    const Matrix<T, S> drows = ctx.template take<T>(2 * shape.catalogue.items, shape.width);
    fill(ctx, drows, T(0));
    return drows;
  }
  template <class T, class S, class Ctx>
  static void rows_backward(const Shape&, const Params<T, S>&, const Params<T, S>& grad,
                            const ItemsView<S>& items, MatrixArg<T, S> drows,
                            const Cache<T, S>& cache, Ctx& ctx) {
    const MatrixArg<T, S> dtexts = drows.slice(items.items, items.items);
    copy(ctx, drows.slice(0, items.items), grad.table, Write::add);
    gemm_tn(ctx, dtexts, cache.text.x, grad.text.weight, Write::add);
    add_column_sums(ctx, dtexts, grad.text.bias);
  }
};

}  // namespace simgr::SIMGR_ABI
