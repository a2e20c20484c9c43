// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>

#include <simgr/core/float_formats.hpp>
#include <simgr/encoder/history_tokens.hpp>
#include <simgr/encoder/item_embedding.hpp>
#include <simgr/nn/linear.hpp>

// What an item is in a prompt. A type with
//
//   needs_ids, reads_item_vectors     what of the catalogue it reads
//   tokens_per_item(shape)
//   Params, Cache, for_each_parameter(shape, f, params...)
//   rows, rows_gradient, rows_backward                as of an embedding (item_embedding.hpp)
//   row_of(items, item, token)        the row that one of its tokens reads
//   check(shape)                      the first broken rule, or empty

namespace simgr::SIMGR_ABI {

struct PromptConfig {
  double deviation = 0.02;  // of the first values of digits
  Index longest = 512;      // tokens of a prompt, with those of an item that is spelt behind it
  bool untied = false;      // what predicts a token is another vector than what is read of it

  template <class F, class C>
  static void for_each_field(C& c, F&& f) {
    f(Field{"deviation", 0, 10, "standard deviation of the first values of digits"}, c.deviation);
    f(Field{"longest", 1, 1 << 20, "tokens of a prompt; of longer ones the oldest items go"},
      c.longest);
    f(Field{"untied", 0, 1, "output vectors apart from the input's, where a model spells items"},
      c.untied);
  }
};
using PromptShape = EmbeddingShape<PromptConfig>;

/// The digits of its semantic id, each a row of a table, as if the vocabulary had been extended.
///
/// Parameters  digits [Σ codes, width]
/// Source      Zheng et al. 2024 (LC-Rec), section III-C
struct DigitTokens : TableEmbedding<TableRows::codes> {
  static constexpr bool reads_item_vectors = false;

  template <class S>
  static Index row_of(const ItemsView<S>& items, ItemId item, Index token) noexcept {
    return items.digit_rows(item, token);
  }
  static std::string check(const PromptShape&) { return {}; }
};

/// One token: the item's vector from a model trained before, mapped to the language model's width.
///
/// Parameters  map.weight [width, item width], map.bias [width]
/// Source      Li et al. 2023 (E4SRec)
struct VectorToken {
  static constexpr bool needs_ids = false, reads_item_vectors = true;
  static Index tokens_per_item(const PromptShape&) noexcept { return 1; }
  static Linear::Config map(const PromptShape& shape) noexcept {
    return {shape.catalogue.item_width, shape.width};
  }

  template <class T, class S = Host>
  struct Params {
    Linear::Params<T, S> map;
  };
  template <class T, class S = Host>
  struct Cache {
    Linear::Cache<T, S> map;
  };
  template <class F, class... P>
  static void for_each_parameter(const PromptShape& shape, F&& f, P&... p) {
    Linear::for_each_parameter(map(shape), under("map", f), p.map...);
  }
  template <class T, class S, class Ctx>
  static Matrix<const T, S> rows(const PromptShape& shape, const Params<T, S>& p,
                                 const ItemsView<S>& items, Cache<T, S>& cache, Ctx& ctx) {
    return Linear::forward(map(shape), p.map, in_scalar<T>(items.item_vectors, ctx), cache.map,
                           ctx);
  }
  template <class T, class S, class Ctx>
  static Matrix<T, S> rows_gradient(const PromptShape& shape, const Params<T, S>&, Ctx& ctx) {
    const Matrix<T, S> drows = ctx.template take<T>(shape.catalogue.items, shape.width);
    fill(ctx, drows, T(0));
    return drows;
  }
  template <class T, class S, class Ctx>
  static void rows_backward(const PromptShape&, const Params<T, S>&, const Params<T, S>& grad,
                            const ItemsView<S>&, MatrixArg<T, S> drows, const Cache<T, S>& cache,
                            Ctx& ctx) {
    gemm_tn(ctx, drows, cache.map.x, grad.map.weight, Write::add);
    add_column_sums(ctx, drows, grad.map.bias);
  }
  template <class S>
  static Index row_of(const ItemsView<S>&, ItemId item, Index) noexcept {
    return item;
  }
  static std::string check(const PromptShape& shape) {
    return shape.catalogue.item_width > 0
               ? std::string()
               : "catalogue.item_vectors: this model reads a vector of each item and the "
                 "catalogue has none";
  }
};

/// A history as a prompt (core/prompt.hpp): tokens are rows of a language model's table of words, or of
/// what stands behind it, which is trained whatever the language model is. Where a prompt would be
/// longer than `longest`, its oldest items are left out.
///
/// Tokens that are predicted are compared with what is read of them, or, `untied`, with tables of their
/// own: a published head of words, frozen where the language model is, and trained rows of digits.
///
/// @tparam Items  what an item is: DigitTokens or VectorToken
/// @tparam kept   how words are stored; as bfloat16 they are frozen, and widened as they are gathered
///
/// Rows        those of the items
/// Parameters  table [words, width], frozen where the language model is; those of the items; where digits
///             are `untied`, head [words, width], frozen as the table, and head_digits [Σ codes, width]
template <class Items, Storage kept = Storage::full>
struct PromptOf {
  using Config = PromptConfig;
  using Shape = PromptShape;
  using DigitPooler = void;
  static constexpr bool row_per_item = false, needs_ids = Items::needs_ids,
                        reads_item_vectors = Items::reads_item_vectors, reads_prompt = true;
  static Index tokens_per_item(const Shape& shape) noexcept {
    return Items::tokens_per_item(shape);
  }

  template <class T, class S = Host>
  struct Params : Items::template Params<T, S> {
    Matrix<std::conditional_t<kept == Storage::bf16, BFloat16, T>, S> words, head;
    Matrix<T, S> outputs;  // of the items' rows

    // What words are compared with.
    const auto& word_outputs() const noexcept { return outputs.empty() ? words : head; }
  };
  template <class T, class S = Host>
  using Cache = typename Items::template Cache<T, S>;

  template <class F, class... P>
  static void for_each_parameter(const Shape& shape, F&& f, P&... p) {
    const auto of_words = [&](const char* name) {
      return Spec<2>{name,
                     {shape.catalogue.words, shape.width},
                     Init::normal(shape.own.deviation),
                     Decay::yes,
                     shape.frozen || kept == Storage::bf16 ? Trained::no : Trained::yes,
                     kept};
    };
    f(of_words("table"), p.words...);
    Items::for_each_parameter(shape, f, p...);
    if (Items::needs_ids && shape.own.untied) {
      f(of_words("head"), p.head...);
      f(Spec<2>{"head_digits",
                {shape.catalogue.table_rows, shape.width},
                Init::normal(shape.own.deviation)},
        p.outputs...);
    }
  }
  template <class T, class S, class Ctx>
  static Matrix<const T, S> rows(const Shape& shape, const Params<T, S>& p,
                                 const ItemsView<S>& items, Cache<T, S>& cache, Ctx& ctx) {
    return Items::template rows<T, S>(shape, p, items, cache, ctx);
  }
  template <class T, class S, class Ctx>
  static Matrix<T, S> rows_gradient(const Shape& shape, const Params<T, S>& grad, Ctx& ctx) {
    return Items::template rows_gradient<T, S>(shape, grad, ctx);
  }
  template <class T, class S, class Ctx>
  static void rows_backward(const Shape& shape, const Params<T, S>& p, const Params<T, S>& grad,
                            const ItemsView<S>& items, MatrixArg<T, S> drows,
                            const Cache<T, S>& cache, Ctx& ctx) {
    Items::template rows_backward<T, S>(shape, p, grad, items, drows, cache, ctx);
  }

  /// What is wrong with the lengths, or empty.
  static std::string check(const Shape& shape) {
    if (shape.catalogue.words == 0) {  // of no catalogue yet
      return {};
    }
    if (const Index rows = std::max(shape.catalogue.items, shape.catalogue.table_rows);
        shape.catalogue.words > INT32_MAX - rows) {  // tokens are named by 32 bits
      return "catalogue.prompt.words: expected at most " + std::to_string(INT32_MAX - rows) +
             " beside the rows of items, found " + std::to_string(shape.catalogue.words);
    }
    const Index least = shape.catalogue.around + tokens_per_item(shape);
    return shape.own.longest >= least
               ? Items::check(shape)
               : "encoder.embedding.longest: expected at least " + std::to_string(least) +
                     ", the words around the items and the tokens of one, found " +
                     std::to_string(shape.own.longest);
  }

  /// Prompts of histories; behind each, all tokens of its target but the last, where there are
  /// targets. Tokens count words first, then rows of items.
  ///
  /// @param targets  empty, or [sequences]
  /// @param share    words that all of several prompts begin with are a sequence of their own, the first
  template <class S, class Ctx>
  static HistoryTokens lay_out(const Shape& shape, const ItemsView<S>& items,
                               RaggedView<ItemId> history, std::span<const ItemId> targets,
                               Ctx& ctx, bool share = false) {
    const PromptView& prompt = items.prompt;
    share = share && history.sequences() > 1 && !prompt.before.empty();
    const Index once = share ? static_cast<Index>(prompt.before.size()) : 0;
    const Index own = tokens_per_item(shape), sequences = history.sequences(),
                spelt = targets.empty() ? 0 : own - 1;
    const auto between = static_cast<Index>(prompt.between.size());
    const auto words_of = [&](ItemId item) {
      return prompt.texts.sequences() == 0 ? std::span<const std::int32_t>() : prompt.texts[item];
    };
    const auto tokens_of = [&](ItemId item) {
      return (prompt.ids ? own : 0) + static_cast<Index>(words_of(item).size());
    };
    const Vector<Index, S> first = ctx.template take<Index>(sequences);  // item that is read
    const Vector<Index, S> all = ctx.template take<Index>(sequences + 1 + (share ? 1 : 0));
    const Vector<Index, S> offsets = all.slice(share ? 1 : 0, sequences + 1);
    all[0] = 0;
    Index total = once;
    for (Index s = 0; s < sequences; ++s) {
      offsets[s] = total;
      const std::span<const ItemId> read = history[s];
      Index length = shape.catalogue.around, begin = static_cast<Index>(read.size());
      while (begin > 0) {
        const Index more = tokens_of(read[static_cast<std::size_t>(begin - 1)]) +
                           (begin < static_cast<Index>(read.size()) ? between : 0);
        if (length + more + own - 1 > shape.own.longest) {
          break;
        }
        length += more;
        --begin;
      }
      first[s] = begin;
      total += length - once + spelt;
    }
    offsets[sequences] = total;
    const Vector<std::int32_t, S> rows = ctx.template take<std::int32_t>(total);
    const auto token = [&](ItemId item, Index place) {
      return static_cast<std::int32_t>(shape.catalogue.words + Items::row_of(items, item, place));
    };
    Index next = 0;
    const auto say = [&](std::span<const std::int32_t> words) {
      for (const std::int32_t word : words) { rows[next++] = word; }
    };
    if (share) {
      say(prompt.before);
    }
    for (Index s = 0; s < sequences; ++s) {
      say(share ? std::span<const std::int32_t>() : prompt.before);
      const std::span<const ItemId> read = history[s].subspan(static_cast<std::size_t>(first[s]));
      for (std::size_t i = 0; i < read.size(); ++i) {
        say(i > 0 ? prompt.between : std::span<const std::int32_t>());
        for (Index l = 0; prompt.ids && l < own; ++l) { rows[next++] = token(read[i], l); }
        say(words_of(read[i]));
      }
      say(prompt.behind);
      for (Index l = 0; l < spelt; ++l) {
        rows[next++] = token(targets[static_cast<std::size_t>(s)], l);
      }
    }
    return {std::span<const std::int32_t>(rows.span()), Offsets(all.span()), share};
  }

  /// Rows of both tables.
  struct Tokens {
    template <class T, class S = Host>
    struct Cache {};

    template <class T, class S, class Ctx>
    static Matrix<T, S> forward(const Shape& shape, const Params<T, S>& p, MatrixArg<T, S> rows,
                                RaggedView<ItemId>, const HistoryTokens& tokens, Cache<T, S>&,
                                Ctx& ctx) {
      const Matrix<T, S> x =
          ctx.template take<T>(static_cast<Index>(tokens.rows.size()), shape.width);
      runs(
          shape, tokens.rows,
          [&](Index first, std::span<const std::int32_t> words) {
            gather_rows(ctx, p.words, words, x.slice(first, size_of(words)));
          },
          [&](Index first, Index row) { copy(ctx, rows.row(row), x.row(first), Write::assign); });
      return x;
    }
    template <class T, class S, class Ctx>
    static void backward(const Shape& shape, const Params<T, S>&, const Params<T, S>& grad,
                         Matrix<T, S> dx, T factor, Matrix<T, S> drows, const HistoryTokens& tokens,
                         const Cache<T, S>&, Ctx& ctx) {
      runs(
          shape, tokens.rows,
          [&](Index first, std::span<const std::int32_t> words) {
            if constexpr (kept == Storage::full) {
              if (!shape.frozen) {
                scatter_add_rows(ctx, dx.slice(first, size_of(words)), words, factor, grad.words);
              }
            }
          },
          [&](Index first, std::int32_t row) {
            scatter_add_rows(ctx, dx.slice(first, 1), std::span<const std::int32_t>(&row, 1),
                             factor, drows);
          });
    }

  private:
    static Index size_of(std::span<const std::int32_t> words) noexcept {
      return static_cast<Index>(words.size());
    }
    /// of_words(first token, words that stand together), of_item(token, its row)
    template <class OfWords, class OfItem>
    static void runs(const Shape& shape, std::span<const std::int32_t> rows, OfWords&& of_words,
                     OfItem&& of_item) {
      for (std::size_t next = 0; next < rows.size();) {
        const std::size_t first = next;
        while (next < rows.size() && rows[next] < shape.catalogue.words) { ++next; }
        if (next > first) {
          of_words(static_cast<Index>(first), rows.subspan(first, next - first));
        } else {
          of_item(static_cast<Index>(first),
                  static_cast<std::int32_t>(rows[next++] - shape.catalogue.words));
        }
      }
    }
  };
};

/// Items as the digits of their semantic ids.
struct PromptEmbedding : PromptOf<DigitTokens> {};
/// The same over words in bfloat16.
struct NarrowPromptEmbedding : PromptOf<DigitTokens, Storage::bf16> {};
/// Items as vectors of a model trained before.
struct VectorPromptEmbedding : PromptOf<VectorToken> {};

}  // namespace simgr::SIMGR_ABI
