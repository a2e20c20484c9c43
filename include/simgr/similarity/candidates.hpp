// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <span>

#include <simgr/core/fields.hpp>
#include <simgr/core/items_view.hpp>
#include <simgr/core/parameter.hpp>
#include <simgr/core/ragged.hpp>
#include <simgr/core/rng.hpp>
#include <simgr/flow.hpp>
#include <simgr/nn/digit_pooler.hpp>

// What a state is compared with. Candidates are a tag with
//
//   States, Scores      flow tags: whether states of users or of digits are compared with them, and
//                       what scores come of it
//   Over<Encoder>       a member template that holds
//
//   Config (with for_each_field), Params, Cache, for_each_parameter(Shape, …)
//   vectors(shape, params, rows, items, cache, ctx)   once a step -> candidate vectors [items, width]
//   gradient(shape, grad, drows, ctx)                 -> where the gradient of those is added up
//   backward(shape, params, grad, rows, items, dvectors, drows, cache, ctx)
//                                                     from there to parameters and rows
//
// `rows` are the rows of the encoder's embedding, `drows` their gradient. Candidates decide where
// their gradient lands: tied ones hand out drows itself.

namespace simgr::SIMGR_ABI {

template <class CandidatesConfig>
struct CandidatesShape {
  Index width = 0;
  CatalogueSizes catalogue{};
  CandidatesConfig own{};
};

namespace detail {

/// Candidates whose vectors are rows that somebody else owns: they have no parameters, compute
/// nothing, and their gradient lands where those rows' does.
template <class CandidatesConfig>
struct LentRows {
  using Config = CandidatesConfig;
  using Shape = CandidatesShape<Config>;
  static constexpr bool encodes_items = false;
  template <class T, class S = Host>
  struct Params {};
  template <class T, class S = Host>
  struct Cache {};
  template <class F, class... P>
  static void for_each_parameter(const Shape&, F&&, P&...) {}

  template <class T, class S, class Ctx>
  static Matrix<const T, S> vectors(const Shape&, const Params<T, S>&, Matrix<const T, S> rows,
                                    const ItemsView<S>&, Cache<T, S>&, Ctx&) {
    return rows;
  }
  template <class T, class S, class Ctx>
  static Matrix<T, S> gradient(const Shape&, const Params<T, S>&, Matrix<T, S> drows, Ctx&) {
    return drows;
  }
  template <class T, class S, class Ctx>
  static void backward(const Shape&, const Params<T, S>&, const Params<T, S>&, MatrixArg<T, S>,
                       const ItemsView<S>&, MatrixArg<T, S>, Matrix<T, S>, const Cache<T, S>&,
                       Ctx&) {}
};

}  // namespace detail

/// The item vectors that the encoder reads are the ones it is compared with.
struct TiedItems {
  using States = flow::UserStates;
  using Scores = flow::ItemScores;
  template <class E>
  struct Over : detail::LentRows<NoFields> {
    static_assert(
        E::EmbeddingType::row_per_item,
        "simgr: TiedItems needs an Embedding with one row for each item (ItemEmbedding or "
        "PooledDigitEmbedding); after SemanticEmbedding use PooledDigits, OwnItems or "
        "EncodedItems");
    using Base = detail::LentRows<NoFields>;

    // Behind the rows of items an embedding may have that of a mask, which is no candidate.
    template <class T, class S, class Cache, class Ctx>
    static Matrix<const T, S> vectors(const typename Base::Shape& shape,
                                      const typename Base::template Params<T, S>&,
                                      Matrix<const T, S> rows, const ItemsView<S>&, Cache&, Ctx&) {
      return rows.slice(0, shape.catalogue.items);
    }
    template <class T, class S, class Ctx>
    static Matrix<T, S> gradient(const typename Base::Shape& shape,
                                 const typename Base::template Params<T, S>&, Matrix<T, S> drows,
                                 Ctx&) {
      return drows.slice(0, shape.catalogue.items);
    }
  };
};

/// A trained table of its own, apart from what the encoder reads.
///
/// Parameters  items [items, width]
struct OwnItems {
  using States = flow::UserStates;
  using Scores = flow::ItemScores;
  template <class E>
  struct Over {
    struct Config {
      double deviation = 0.02;  // of the first values

      template <class F, class C>
      static void for_each_field(C& c, F&& f) {
        f(Field{"deviation", 0, 10, "standard deviation of the first values"}, c.deviation);
      }
    };
    using Shape = CandidatesShape<Config>;
    static constexpr bool encodes_items = false, own_rows = true;
    template <class T, class S = Host>
    struct Params {
      Matrix<T, S> table;
    };
    template <class T, class S = Host>
    struct Cache {};
    template <class F, class... P>
    static void for_each_parameter(const Shape& shape, F&& f, P&... p) {
      f(Spec<2>{"items", {shape.catalogue.items, shape.width}, Init::normal(shape.own.deviation)},
        p.table...);
    }

    template <class T, class S, class Ctx>
    static Matrix<const T, S> vectors(const Shape&, const Params<T, S>& p, Matrix<const T, S>,
                                      const ItemsView<S>&, Cache<T, S>&, Ctx&) {
      return p.table;
    }
    template <class T, class S, class Ctx>
    static Matrix<T, S> gradient(const Shape&, const Params<T, S>& grad, Matrix<T, S>, Ctx&) {
      return grad.table;
    }
    template <class T, class S, class Ctx>
    static void backward(const Shape&, const Params<T, S>&, const Params<T, S>&, MatrixArg<T, S>,
                         const ItemsView<S>&, MatrixArg<T, S>, Matrix<T, S>, const Cache<T, S>&,
                         Ctx&) {}
  };
};

/// SimGR's variant A: an item is the pooled embeddings of its digits, read from the encoder's own
/// digit table. Over PooledDigitEmbedding of the same pooler the item vectors are the ones that
/// histories read: computed once.
///
/// @tparam P   a digit pooler
template <class P>
struct PooledDigits {
  using States = flow::UserStates;
  using Scores = flow::ItemScores;
  template <class E>
  struct Over {
    static_assert(E::EmbeddingType::needs_ids,
                  "simgr: PooledDigits needs an Encoder that reads digits (SemanticEmbedding or "
                  "PooledDigitEmbedding); after ItemEmbedding use TiedItems or OwnItems");
    static_assert(
        !E::EmbeddingType::row_per_item,
        "simgr: PooledDigits over a PooledDigitEmbedding needs the same digit pooler in both");
    using Config = typename P::Config;
    using Shape = CandidatesShape<Config>;
    static constexpr bool encodes_items = false;
    template <class T, class S = Host>
    struct Params {
      typename P::template Params<T, S> pooler;
    };
    template <class T, class S = Host>
    struct Cache {
      typename P::template Cache<T, S> pooler;
    };
    static DigitShape<Config> digit_shape(const Shape& s) {
      return {s.width, s.catalogue.digits, s.own};
    }
    /// One vector for each item; a pooler whose items depend on the user has some for each row of
    /// the digit table.
    static Index vectors_count(const CatalogueSizes& catalogue) {
      if constexpr (requires { P::vectors_per_table_row; }) {
        return P::vectors_per_table_row * catalogue.table_rows;
      } else {
        return catalogue.items;
      }
    }
    template <class F, class... Q>
    static void for_each_parameter(const Shape& shape, F&& f, Q&... p) {
      P::for_each_parameter(digit_shape(shape), under("pooler", f), p.pooler...);
    }

    template <class T, class S, class Ctx>
    static Matrix<const T, S> vectors(const Shape& shape, const Params<T, S>& p,
                                      Matrix<const T, S> rows, const ItemsView<S>& items,
                                      Cache<T, S>& cache, Ctx& ctx) {
      return P::forward(digit_shape(shape), p.pooler, rows, items.digit_rows, cache.pooler, ctx);
    }
    template <class T, class S, class Ctx>
    static Matrix<T, S> gradient(const Shape& shape, const Params<T, S>&, Matrix<T, S>, Ctx& ctx) {
      Matrix<T, S> dvectors = ctx.template take<T>(vectors_count(shape.catalogue), shape.width);
      fill(ctx, dvectors, T(0));
      return dvectors;
    }
    template <class T, class S, class Ctx>
    static void backward(const Shape& shape, const Params<T, S>& p, const Params<T, S>& grad,
                         MatrixArg<T, S> rows, const ItemsView<S>& items, MatrixArg<T, S> dvectors,
                         Matrix<T, S> drows, const Cache<T, S>& cache, Ctx& ctx) {
      P::backward(digit_shape(shape), p.pooler, grad.pooler, rows, items.digit_rows, dvectors,
                  drows, cache.pooler, ctx);
    }
  };
  template <class E>
    requires std::is_same_v<typename E::EmbeddingType::DigitPooler, P>
  struct Over<E> : TiedItems::Over<E> {
  };
};

/// SimGR's variant B: an item's digits go through the encoder that reads histories, and its vector
/// is the mean of the final states.
///
/// The whole catalogue through the encoder at every step would cost items · digits tokens, so a
/// shard encodes live items alone: its targets, and `drawn` of the others, uniformly without
/// replacement. A drawn item stands for (items - targets) / drawn of those.
///
///   refresh = 0   the softmax is over live items, a drawn one counting as often as it stands for
///                 one: its sum is, in expectation, that of the full softmax, and the gradient is the
///                 exact one of this loss
///   refresh > 0   the softmax is over a bank of all keys, encoded at most `refresh` steps ago, in
///                 which live rows are fresh. The gradient of a drawn key counts as often as the item
///                 stands for one, so that its expectation is the gradient through the keys of all
///                 items, as far as a row of the bank is what the encoder would give now.
///                 Targets are always fresh and most others are not: what users learn from that
///                 difference is lost at the next refresh, so a bank trains worse than no bank
///
/// Cost  a shard: (targets + drawn) · digits more tokens; a refresh: items · digits tokens forward
struct EncodedItems {
  using States = flow::UserStates;
  using Scores = flow::ItemScores;
  template <class E>
  struct Over {
    static_assert(E::EmbeddingType::needs_ids && !E::EmbeddingType::row_per_item,
                  "simgr: EncodedItems needs an Encoder over SemanticEmbedding, so that an item's "
                  "digits are a "
                  "sequence it can read; with one row for each item use TiedItems or OwnItems");
    struct Config {
      Index refresh = 0;  // steps between two encodings of the whole catalogue; 0: no bank
      Index drawn = 256;  // items besides the targets that each shard encodes

      template <class F, class C>
      static void for_each_field(C& c, F&& f) {
        f(Field{"refresh", 0, 1 << 30, "steps between two encodings of the bank; 0: no bank"},
          c.refresh);
        f(Field{"drawn", 0, 1 << 30, "items besides the targets that each shard encodes"}, c.drawn);
      }
    };
    using Shape = CandidatesShape<Config>;
    static constexpr bool encodes_items = true;
    template <class T, class S = Host>
    struct Params {};
    template <class T, class S = Host>
    struct Cache {
      typename E::template Cache<T, S> encoder;
    };
    template <class F, class... P>
    static void for_each_parameter(const Shape&, F&&, P&...) {}

    /// The items of a shard that are encoded, ascending, and how many items each stands for.
    template <class T, class S = Host>
    struct Live {
      std::span<const ItemId> ids;
      Vector<T, S> stands_for;  // [ids]
    };
    template <class T, class S, class Ctx>
    static Live<T, S> choose_live(const Shape& shape, std::span<const ItemId> targets, Ctx& ctx) {
      const Index items = shape.catalogue.items;
      const auto sorted = ctx.template take<ItemId>(static_cast<Index>(targets.size()));
      std::copy(targets.begin(), targets.end(), sorted.begin());
      std::sort(sorted.begin(), sorted.end());
      const ItemId* target = sorted.begin();
      const ItemId* const end = std::unique(sorted.begin(), sorted.end());

      // One pass over the items that are no targets takes each with probability wanted / left.
      Index left = items - static_cast<Index>(end - target);
      Index wanted = std::min(shape.own.drawn, left);
      const T share = static_cast<T>(left) / static_cast<T>(std::max<Index>(wanted, 1));
      const auto ids = ctx.template take<ItemId>(static_cast<Index>(end - target) + wanted);
      const auto stands_for = ctx.template take<T>(ids.size());
      Rng rng(ctx.seed ^ 0x6c69766520697465u, (ctx.step << 32) | ctx.next_stream());
      Index count = 0;
      for (ItemId item = 0; count < ids.size(); ++item) {
        const bool is_target = target != end && *target == item;
        if (is_target) {
          ++target;
        } else if (wanted == 0 || rng.below(left--) >= wanted) {
          continue;
        } else {
          --wanted;
        }
        stands_for[count] = is_target ? T(1) : share;
        ids[count++] = item;
      }
      return {std::span<const ItemId>(ids.span()), stands_for};
    }

    /// Vectors of some items, each read on its own, without dropout: as they serve.
    /// ids [count] -> [count, width]
    template <class T, class S, class Ctx>
    static Matrix<T, S> encode(const typename E::Config& c,
                               const typename E::template Params<T, S>& p, MatrixArg<T, S> rows,
                               const ItemsView<S>& items, std::span<const ItemId> ids,
                               Cache<T, S>& cache, Ctx& ctx) {
      const Matrix<T, S> states =
          E::forward_items(still(c), p, rows, items, ids, cache.encoder, ctx);
      Matrix<T, S> vectors = ctx.template take<T>(static_cast<Index>(ids.size()), c.width);
      mean_of_rows(ctx, states, c.catalogue.digits, vectors);
      return vectors;
    }
    template <class T, class S, class Ctx>
    static void
    encode_backward(const typename E::Config& c, const typename E::template Params<T, S>& p,
                    const typename E::template Params<T, S>& grad, MatrixArg<T, S> dvectors,
                    Matrix<T, S> drows, const Cache<T, S>& cache, Ctx& ctx) {
      const Matrix<T, S> dstates =
          ctx.template take<T>(dvectors.rows() * c.catalogue.digits, c.width);
      mean_of_rows_backward(ctx, dvectors, c.catalogue.digits, dstates);
      E::backward(still(c), p, grad, dstates, drows, cache.encoder, ctx);
    }

  private:
    // Keys differ little at first, and noise on each hides by how much.
    static typename E::Config still(typename E::Config c) {
      if constexpr (requires { c.dropout; }) {
        c.dropout = c.attention_dropout = 0;
      }
      return c;
    }
  };
};

}  // namespace simgr::SIMGR_ABI
