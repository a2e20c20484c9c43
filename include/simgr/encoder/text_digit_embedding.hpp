// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/encoder/history_tokens.hpp>
#include <simgr/encoder/item_embedding.hpp>
#include <simgr/nn/layer_norm.hpp>
#include <simgr/nn/linear.hpp>

namespace simgr::SIMGR_ABI {

/// Every digit of an item is a token, and each knows the item's text and where it stands:
///
///   token(t, l) = D N(digit(l of item t) + W text(item t) + b + place(t) + level(l))
///
/// for item t of a history, from 0, and digit l. A decoder reads and writes the digits as they are.
///
/// Rows        [items + Σ codes, width]: W text + b of every item, then the digits
/// Parameters  digits [Σ codes, width];  text.weight [width, text width], text.bias;  places
///             [max_length, width], levels [digits, width];  norm
/// Gradients   texts are given: none goes to them
/// Source      Yang et al. 2024 (LIGER)
struct TextDigitEmbedding {
  struct Config {
    double deviation = 0.02;  // of the first values of digits, places and levels
    double dropout = 0.5;     // of tokens

    template <class F, class C>
    static void for_each_field(C& c, F&& f) {
      f(Field{"deviation", 0, 10, "standard deviation of the first values"}, c.deviation);
      f(Field{"dropout", 0, 0.99, "of the tokens of histories"}, c.dropout);
    }
  };
  using Shape = EmbeddingShape<Config>;
  using DigitPooler = void;
  static constexpr bool row_per_item = false, needs_ids = true, reads_text_vectors = true;
  static Index tokens_per_item(const Shape& shape) noexcept { return shape.catalogue.digits; }
  static Linear::Config text(const Shape& shape) noexcept {
    return {shape.catalogue.text_width, shape.width};
  }
  static LayerNorm::Config norm(const Shape& shape) noexcept { return {shape.width}; }

  template <class T, class S = Host>
  struct Params {
    Matrix<T, S> table;
    Linear::Params<T, S> text;
    Matrix<T, S> places, levels;
    LayerNorm::Params<T, S> norm;
  };
  template <class T, class S = Host>
  struct Cache {
    Linear::Cache<T, S> text;
  };

  template <class F, class... P>
  static void for_each_parameter(const Shape& shape, F&& f, P&... p) {
    const auto table = [&](const char* name, Index rows, auto&... tables) {
      f(Spec<2>{name, {rows, shape.width}, Init::normal(shape.own.deviation)}, tables...);
    };
    table("digits", shape.catalogue.table_rows, p.table...);
    Linear::for_each_parameter(text(shape), under("text", f), p.text...);
    table("places", shape.max_length, p.places...);
    table("levels", shape.catalogue.digits, p.levels...);
    LayerNorm::for_each_parameter(norm(shape), under("norm", f), p.norm...);
  }

  template <class T, class S, class Ctx>
  static Matrix<const T, S> rows(const Shape& shape, const Params<T, S>& p,
                                 const ItemsView<S>& items, Cache<T, S>& cache, Ctx& ctx) {
    const Matrix<T, S> texts = Linear::forward(
        text(shape), p.text, in_scalar<T>(items.text_vectors, ctx), cache.text, ctx);
    const Matrix<T, S> all = ctx.template take<T>(texts.rows() + p.table.rows(), shape.width);
    copy(ctx, texts, all.slice(0, texts.rows()), Write::assign);
    copy(ctx, p.table, all.slice(texts.rows(), p.table.rows()), Write::assign);
    return all;
  }
  template <class T, class S, class Ctx>
  static Matrix<T, S> rows_gradient(const Shape& shape, const Params<T, S>&, Ctx& ctx) {
    const Matrix<T, S> drows =
        ctx.template take<T>(shape.catalogue.items + shape.catalogue.table_rows, shape.width);
    fill(ctx, drows, T(0));
    return drows;
  }
  template <class T, class S, class Ctx>
  static void rows_backward(const Shape& shape, const Params<T, S>&, const Params<T, S>& grad,
                            const ItemsView<S>& items, MatrixArg<T, S> drows,
                            const Cache<T, S>& cache, Ctx& ctx) {
    const MatrixArg<T, S> dtexts = drows.slice(0, items.items);
    gemm_tn(ctx, dtexts, cache.text.x, grad.text.weight, Write::add);
    add_column_sums(ctx, dtexts, grad.text.bias);
    copy(ctx, drows.slice(items.items, shape.catalogue.table_rows), grad.table, Write::add);
  }

  /// What histories read.
  struct Tokens {
    template <class T, class S = Host>
    struct Cache {
      RaggedView<ItemId> history;
      LayerNorm::Cache<T, S> norm;
      std::uint32_t stream = 0;
    };

    template <class T, class S, class Ctx>
    static Matrix<T, S> forward(const Shape& shape, const Params<T, S>& p, MatrixArg<T, S> rows,
                                RaggedView<ItemId> history, const HistoryTokens& tokens,
                                Cache<T, S>& cache, Ctx& ctx) {
      cache.history = history;
      const Matrix<T, S> sum =
          ctx.template take<T>(static_cast<Index>(tokens.rows.size()), shape.width);
      each(shape, history, tokens, [&](Index token, Index digit, ItemId item, Index t, Index l) {
        copy(ctx, rows.row(rows.rows() - shape.catalogue.table_rows + digit), sum.row(token),
             Write::assign);
        copy(ctx, rows.row(item), sum.row(token), Write::add);
        copy(ctx, p.places.row(t), sum.row(token), Write::add);
        copy(ctx, p.levels.row(l), sum.row(token), Write::add);
      });
      const Matrix<T, S> x =
          LayerNorm::forward(norm(shape), p.norm, MatrixArg<T, S>(sum), cache.norm, ctx);
      cache.stream = ctx.next_stream();
      dropout(ctx, x, static_cast<float>(shape.own.dropout), cache.stream);
      return x;
    }
    /// dx is scratch afterwards.
    template <class T, class S, class Ctx>
    static void backward(const Shape& shape, const Params<T, S>& p, const Params<T, S>& grad,
                         Matrix<T, S> dx, T factor, Matrix<T, S> drows, const HistoryTokens& tokens,
                         const Cache<T, S>& cache, Ctx& ctx) {
      scale(ctx, dx, factor);
      dropout(ctx, dx, static_cast<float>(shape.own.dropout), cache.stream);
      const Matrix<T, S> dsum =
          LayerNorm::backward(norm(shape), p.norm, grad.norm, MatrixArg<T, S>(dx), cache.norm, ctx);
      each(shape, cache.history, tokens,
           [&](Index token, Index digit, ItemId item, Index t, Index l) {
             const Index first = drows.rows() - shape.catalogue.table_rows;
             copy(ctx, dsum.row(token), drows.row(first + digit), Write::add);
             copy(ctx, dsum.row(token), drows.row(item), Write::add);
             copy(ctx, dsum.row(token), grad.places.row(t), Write::add);
             copy(ctx, dsum.row(token), grad.levels.row(l), Write::add);
           });
    }

  private:
    /// visit(token, row of its digit, item, place in the history, level)
    template <class Visit>
    static void each(const Shape& shape, RaggedView<ItemId> history, const HistoryTokens& tokens,
                     Visit&& visit) {
      Index token = 0;
      for (Index s = 0; s < history.sequences(); ++s) {
        Index place = 0;
        for (const ItemId item : history[s]) {
          for (Index level = 0; level < shape.catalogue.digits; ++level, ++token) {
            visit(token, Index{tokens.rows[static_cast<std::size_t>(token)]}, item, place, level);
          }
          ++place;
        }
      }
    }
  };
};

}  // namespace simgr::SIMGR_ABI
