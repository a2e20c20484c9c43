// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <vector>

#include <simgr/encoder/item_embedding.hpp>
#include <simgr/nn/linear.hpp>
#include <simgr/nn/relu_layers.hpp>

namespace simgr::SIMGR_ABI {

/// An item is a set of vectors in no order: one of who chose it, the others of its text.
///
///   v_0 = W t_item,   (v_1, …, v_n) = encode(text vector of the item)
///
/// t is trained, or given: the item vectors of the catalogue, of a model trained before, are held as
/// they are.
///
/// The text vector must be found again in v_1 … v_n: decode mirrors encode, and
/// reconstruction · mean((decode(v_1, …, v_n) - text vector)²) over items and coordinates is a loss of
/// the embedding's own, once a step.
///
/// Parameters  items [items, item_width] where none are given, item.weight [width, item_width];  encode.i, decode.i: layers
///             with rectified units between them, hidden, hidden / 2, … wide
/// Rows        those of an item together: row (1 + n) item + j is v_j
/// Cost        the whole catalogue once a step: 12 items · weights of encode flops
/// Source      Lin et al. 2025 (SETRec)
struct SetEmbedding {
  struct Config {
    Index semantic = 4;                     // n
    Index hidden = 512, hidden_layers = 3;  // of encode and decode
    Index item_width = 64;                  // of t
    double deviation = 0.02;                // of the first values of t
    double reconstruction = 0.7;            // weight of the loss of its own

    template <class F, class C>
    static void for_each_field(C& c, F&& f) {
      f(Field{"semantic", 1, 256, "vectors of an item's text, beside the one of who chose it"},
        c.semantic);
      f(Field{"hidden", 1, 65536, "width of the first hidden layer over text vectors"}, c.hidden);
      f(Field{"hidden_layers", 0, 16, "hidden layers, each half as wide as the one before"},
        c.hidden_layers);
      f(Field{"item_width", 1, 65536, "numbers of an item behind its first vector, if trained"},
        c.item_width);
      f(Field{"deviation", 0, 10, "standard deviation of the first values of those"}, c.deviation);
      f(Field{"reconstruction", 0, 1e6, "weight of finding the text vectors again"},
        c.reconstruction);
    }
  };
  using Shape = EmbeddingShape<Config>;
  using DigitPooler = void;
  static constexpr bool row_per_item = false, needs_ids = false;
  static constexpr bool item_sets = true, reads_text_vectors = true, reads_item_vectors = true;
  static Index tokens_per_item(const Shape& shape) noexcept { return 1 + shape.own.semantic; }

  template <class T, class S = Host>
  struct Params {
    Matrix<T, S> table;
    Linear::Params<T, S> item;
    ReluLayers::Params<T, S> encode, decode;
  };
  template <class T, class S = Host>
  struct Cache {
    Linear::Cache<T, S> item;
    ReluLayers::Cache<T, S> encode;
    Matrix<const T, S> texts;  // [items, text width]
    Matrix<T, S> semantic;     // [items, n · width]: v_1 … v_n
  };

  template <class F, class... P>
  static void for_each_parameter(const Shape& shape, F&& f, P&... p) {
    if (!given(shape)) {
      f(Spec<2>{"items",
                {shape.catalogue.items, shape.own.item_width},
                Init::normal(shape.own.deviation)},
        p.table...);
    }
    Linear::for_each_parameter(item(shape), under("item", f), p.item...);
    ReluLayers::for_each_parameter(encoder(shape), under("encode", f), p.encode...);
    ReluLayers::for_each_parameter(decoder(shape), under("decode", f), p.decode...);
  }

  template <class T, class S, class Ctx>
  static Matrix<const T, S> rows(const Shape& shape, const Params<T, S>& p,
                                 const ItemsView<S>& items, Cache<T, S>& cache, Ctx& ctx) {
    cache.texts = in_scalar<T>(items.text_vectors, ctx);
    cache.semantic = ReluLayers::forward(encoder(shape), p.encode, cache.texts, cache.encode, ctx);
    const MatrixArg<T, S> behind =
        given(shape) ? in_scalar<T>(items.item_vectors, ctx) : MatrixArg<T, S>(p.table);
    const Matrix<T, S> first = Linear::forward(item(shape), p.item, behind, cache.item, ctx);
    const Index per_item = tokens_per_item(shape);
    const Matrix<T, S> rows = ctx.template take<T>(items.items * per_item, shape.width);
    for (Index i = 0; i < items.items; ++i) {
      copy(ctx, first.row(i), rows.row(i * per_item), Write::assign);
      copy(ctx, semantic_of(shape, cache.semantic, i), semantic_rows(shape, rows, i),
           Write::assign);
    }
    return rows;
  }
  template <class T, class S, class Ctx>
  static Matrix<T, S> rows_gradient(const Shape& shape, const Params<T, S>&, Ctx& ctx) {
    const Matrix<T, S> drows =
        ctx.template take<T>(shape.catalogue.items * tokens_per_item(shape), shape.width);
    fill(ctx, drows, T(0));
    return drows;
  }
  template <class T, class S, class Ctx>
  static void rows_backward(const Shape& shape, const Params<T, S>& p, const Params<T, S>& grad,
                            const ItemsView<S>& items, MatrixArg<T, S> drows,
                            const Cache<T, S>& cache, Ctx& ctx) {
    const Matrix<T, S> dfirst = ctx.template take<T>(items.items, shape.width);
    const Matrix<T, S> dsemantic =
        ctx.template take<T>(items.items, shape.own.semantic * shape.width);
    for (Index i = 0; i < items.items; ++i) {
      copy(ctx, drows.row(i * tokens_per_item(shape)), dfirst.row(i), Write::assign);
      copy(ctx, semantic_rows(shape, drows, i), semantic_of(shape, dsemantic, i), Write::assign);
    }
    const Matrix<T, S> dbehind =
        Linear::backward(item(shape), p.item, grad.item, dfirst, cache.item, ctx);
    if (!given(shape)) {
      copy(ctx, dbehind, grad.table, Write::add);
    }
    ReluLayers::backward(encoder(shape), p.encode, grad.encode, dsemantic, cache.encode, ctx);
  }

  // forward: loss = a mean((y - x)²),  y = decode(v).   dy = 2 a (y - x) / size
  /// -> the loss of its own, whose gradient is added to `grad` and `drows`
  template <class T, class S, class Ctx>
  static double own_loss(const Shape& shape, const Params<T, S>& p, const Params<T, S>& grad,
                         Matrix<T, S> drows, const Cache<T, S>& cache, Ctx& ctx) {
    ReluLayers::Cache<T, S> kept;
    const Matrix<T, S> y =
        ReluLayers::forward(decoder(shape), p.decode, MatrixArg<T, S>(cache.semantic), kept, ctx);
    double squares = 0;
    const T factor = static_cast<T>(2 * shape.own.reconstruction / static_cast<double>(y.size()));
    for (Index i = 0; i < y.size(); ++i) {
      const T gap = y.data()[i] - cache.texts.data()[i];
      squares += static_cast<double>(gap) * static_cast<double>(gap);
      y.data()[i] = factor * gap;
    }
    const Matrix<T, S> dsemantic =
        ReluLayers::backward(decoder(shape), p.decode, grad.decode, MatrixArg<T, S>(y), kept, ctx);
    for (Index i = 0; i < dsemantic.rows(); ++i) {
      copy(ctx, semantic_of(shape, dsemantic, i), semantic_rows(shape, drows, i), Write::add);
    }
    return shape.own.reconstruction * squares / static_cast<double>(y.size());
  }

private:
  static bool given(const Shape& shape) { return shape.catalogue.item_width > 0; }
  static Linear::Config item(const Shape& shape) {
    return {given(shape) ? shape.catalogue.item_width : shape.own.item_width, shape.width, false};
  }
  static ReluLayers::Config encoder(const Shape& shape) {
    ReluLayers::Config c{{shape.catalogue.text_width}};
    Index width = shape.own.hidden;
    for (Index i = 0; i < shape.own.hidden_layers; ++i, width = std::max<Index>(width / 2, 1)) {
      c.widths.push_back(width);
    }
    c.widths.push_back(shape.own.semantic * shape.width);
    return c;
  }
  static ReluLayers::Config decoder(const Shape& shape) { return encoder(shape).mirrored(); }
  // v_1 … v_n of an item, where they stand alone and among all rows.   -> [n, width]
  template <class T, class S>
  static Matrix<T, S> semantic_of(const Shape& shape, Matrix<T, S> semantic, Index item) {
    return {semantic.row(item).data(), {shape.own.semantic, shape.width}};
  }
  template <class T, class S>
  static Matrix<T, S> semantic_rows(const Shape& shape, Matrix<T, S> rows, Index item) {
    return rows.slice(item * tokens_per_item(shape) + 1, shape.own.semantic);
  }
};

}  // namespace simgr::SIMGR_ABI
