// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/core/digit_products.hpp>
#include <simgr/core/fields.hpp>
#include <simgr/core/items_view.hpp>
#include <simgr/core/product_scores.hpp>
#include <simgr/similarity/candidates.hpp>
#include <simgr/similarity/inner_product.hpp>

namespace simgr::SIMGR_ABI {

/// The codes of all digits and the texts of all items, as the encoder reads them: what spells an item
/// is compared with codes, and what ends a history with texts.
///
/// Vectors  [items + Σ codes, width]: projected texts, each of length 1, then the digit table
struct DigitsAndTexts {
  using States = flow::DigitAndUserStates;
  using Scores = flow::DigitAndItemScores;
  template <class E>
  struct Over {
    static constexpr bool rows_fit = requires {
      requires E::EmbeddingType::reads_text_vectors;
      typename E::EmbeddingType::Tokens;
    };
    static_assert(rows_fit,
                  "simgr: DigitsAndTexts needs an Encoder that reads texts beside digits: "
                  "EncoderDecoderAndEnd<TextDigitEmbedding>");
    using Config = NoFields;
    using Shape = CandidatesShape<Config>;
    static constexpr bool encodes_items = false, vectors_of_items = true;
    template <class T, class S = Host>
    struct Params {};
    template <class T, class S = Host>
    struct Cache {
      Vector<T, S> scale;
    };
    template <class F, class... P>
    static void for_each_parameter(const Shape&, F&&, P&...) {}

    template <class T, class S, class Ctx>
    static Matrix<const T, S> vectors(const Shape&, const Params<T, S>&, Matrix<const T, S> rows,
                                      const ItemsView<S>& items, Cache<T, S>& cache, Ctx& ctx) {
      const Index codes = rows.rows() - items.items;
      const Matrix<T, S> vectors = ctx.template take<T>(rows.rows(), rows.cols());
      cache.scale = ctx.template take<T>(items.items);
      normalise_rows(ctx, rows.slice(0, items.items), T(1), vectors.slice(0, items.items),
                     cache.scale);
      copy(ctx, rows.slice(items.items, codes), vectors.slice(items.items, codes), Write::assign);
      return vectors;
    }
    template <class T, class S, class Ctx>
    static Matrix<T, S> gradient(const Shape& shape, const Params<T, S>&, Matrix<T, S>, Ctx& ctx) {
      const Matrix<T, S> dvectors =
          ctx.template take<T>(shape.catalogue.items + shape.catalogue.table_rows, shape.width);
      fill(ctx, dvectors, T(0));
      return dvectors;
    }
    template <class T, class S, class Ctx>
    static void backward(const Shape&, const Params<T, S>&, const Params<T, S>&,
                         MatrixArg<T, S> rows, const ItemsView<S>& items, MatrixArg<T, S> dvectors,
                         Matrix<T, S> drows, const Cache<T, S>& cache, Ctx& ctx) {
      const Index codes = rows.rows() - items.items;
      normalise_rows_backward(ctx, rows.slice(0, items.items), T(1), cache.scale,
                              dvectors.slice(0, items.items), drows.slice(0, items.items),
                              Write::add);
      copy(ctx, dvectors.slice(items.items, codes), drows.slice(items.items, codes), Write::add);
    }
  };
};

/// Scores of digits and of whole items, side by side.
///
/// Gradients  those of the two parts; finish(), after the loss, brings that of the ends to dqueries
template <class T, class S = Host>
struct DigitAndItemProducts {
  DigitProducts<T, S> digits;
  ProductScores<T, S> items;  // their queries: ends of length 1 / temperature
  Matrix<T, S> dqueries;      // [rows · digits + rows, width]
  MatrixArg<T, S> ends;       // [rows, width]
  Vector<T, S> scale;         // [rows]: 1 / |end|
  T inverse_temperature = 1;

  template <class Ctx>
  void finish(Ctx& ctx) const {
    normalise_rows_backward(ctx, ends, inverse_temperature, scale, items.dqueries,
                            dqueries.slice(dqueries.rows() - ends.rows(), ends.rows()),
                            Write::assign);
  }
};

/// Digits by inner product, items by cosine:
///
///   s(digit j, code) = state_j · code,     s(item) = cos(end, text) / temperature
///
/// Source  LIGER: T5's tied head, and a cosine softmax at .07
template <class C>
struct ProductAndCosine : StatesAndVectors {
  using In = typename C::States;
  using Out = typename C::Scores;
  using Candidates = C;
  struct Config {
    double temperature = 0.07;
    DigitSupport support = DigitSupport::level;

    template <class F, class X>
    static void for_each_field(X& c, F&& f) {
      f(Field{"temperature", 1e-3, 100, "divides the cosine of items"}, c.temperature);
      f(Field{"support", 0, 1, "which codes compete with a digit's own"}, c.support);
    }
  };
  template <class T, class S = Host>
  struct Params {};
  template <class T, class S = Host>
  using Scores = DigitAndItemProducts<T, S>;
  template <class F, class... P>
  static void for_each_parameter(const Config&, F&&, P&...) {}

  template <class T, class S, class Ctx>
  static Scores<T, S> scores(const Config& c, const Params<T, S>&, const Params<T, S>&,
                             const ItemsView<S>& items, MatrixArg<T, S>, MatrixArg<T, S> queries,
                             MatrixArg<T, S> keys, Matrix<T, S> dqueries, Matrix<T, S> dkeys,
                             Ctx& ctx) {
    const Index digits = items.digit_rows.cols(), rows = queries.rows() / (digits + 1),
                spelt = rows * digits, codes = keys.rows() - items.items;
    const auto scale = ctx.template take<T>(rows);
    const MatrixArg<T, S> ends = queries.slice(spelt, rows);
    return {{queries.slice(0, spelt), keys.slice(items.items, codes), dqueries.slice(0, spelt),
             dkeys.slice(items.items, codes), items, c.support},
            {unit(c, ends, scale, ctx), keys.slice(0, items.items),
             ctx.template take<T>(rows, queries.cols()), dkeys.slice(0, items.items)},
            dqueries,
            ends,
            scale,
            static_cast<T>(1 / c.temperature)};
  }
  /// Scores of items alone, for serving.   ends [rows, width], keys those of scores()
  template <class T, class S, class Ctx>
  static ProductScores<T, S> item_scores(const Config& c, const ItemsView<S>& items,
                                         Matrix<T, S> ends, MatrixArg<T, S> keys, Ctx& ctx) {
    return {unit(c, MatrixArg<T, S>(ends), ctx.template take<T>(ends.rows()), ctx),
            keys.slice(0, items.items),
            {},
            {}};
  }

private:
  template <class T, class S, class Ctx>
  static Matrix<T, S> unit(const Config& c, MatrixArg<T, S> ends, Vector<T, S> scale, Ctx& ctx) {
    const Matrix<T, S> unit = ctx.template take<T>(ends.rows(), ends.cols());
    normalise_rows(ctx, ends, static_cast<T>(1 / c.temperature), unit, scale);
    return unit;
  }
};

}  // namespace simgr::SIMGR_ABI
