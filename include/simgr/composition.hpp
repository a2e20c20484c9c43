// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include <simgr/catalogue.hpp>
#include <simgr/core/digit_products.hpp>
#include <simgr/core/fields.hpp>
#include <simgr/core/items_view.hpp>
#include <simgr/core/live_products.hpp>
#include <simgr/core/parameter.hpp>
#include <simgr/core/product_scores.hpp>
#include <simgr/core/ragged.hpp>
#include <simgr/flow.hpp>

namespace simgr::SIMGR_ABI {

/// Four stages as one differentiable function of one block of parameters. It owns nothing and is a
/// template on the scalar, so that the gradients of whole models are tested in double; Recommender
/// holds the state.
///
/// A training step over several shards of a batch is
///
///   prepare (once)   what depends on parameters alone: embedding rows, candidate vectors, keys
///   shard  (each)    histories → states → queries → loss, and back to the shard's own gradients
///   finish (once)    from the summed gradients of keys, vectors and rows to the parameters
///
/// so the catalogue is pooled and normalised once a step and not once a shard.
///
/// @tparam task_tags  rows that tell what is asked, of tasks besides the next item: see
///                    train/neighbour_tasks.hpp
template <Encoder E, Pooler P, Similarity S, Loss L, class RankerConfig = NoFields,
          Index task_tags = 0>
struct Composition {
  static_assert(Feeds<E, P>,
                "simgr: this Pooler cannot read what this Encoder writes; see simgr/flow.hpp");
  static_assert(
      Feeds<P, S>,
      "simgr: this Similarity cannot read what this Pooler writes; DigitHeads and EveryDigit "
      "need DigitCodebooks, EveryQuery needs ItemSets, LastPosition needs TiedItems, OwnItems or "
      "EncodedItems");
  static_assert(Feeds<S, L>,
                "simgr: this Loss cannot read these scores; item losses need ItemScores, "
                "DigitCrossEntropy needs the DigitScores of DigitCodebooks");

  static constexpr bool sees_no_target = [] {
    if constexpr (requires { E::causal; }) {
      return E::causal || P::examples != Examples::every_position;
    }
    return true;
  }();
  static_assert(sees_no_target,
                "simgr: EveryPosition predicts the next item from every position and needs an "
                "Encoder whose states have seen the past alone; this one needs LastPosition");

  /// Whether digits are predicted one after another, each knowing those before it.
  static constexpr bool autoregressive = requires { requires P::teacher_forcing; };
  static_assert(
      !autoregressive || requires { requires E::spells_items; },
      "simgr: EveryDigit predicts an item digit by digit and needs an Encoder that spells "
      "items, such as TransformerEncoder<SemanticEmbedding, Causal>; for all digits at "
      "once use DigitHeads");
  static constexpr bool examples_fit = [] {
    if constexpr (autoregressive && requires { E::spelt_examples; }) {
      return P::examples == E::spelt_examples;
    }
    return true;
  }();
  static_assert(
      examples_fit,
      "simgr: an EncoderDecoder reads a history for one target and needs EveryDigitOfLast; a "
      "causal TransformerEncoder teaches every next item at once and needs EveryDigit");

  using EncoderType = E;
  using SimilarityType = S;
  using Embedding = typename E::EmbeddingType;
  using Candidates = typename S::Candidates::template Over<E>;
  static constexpr bool encodes_items = Candidates::encodes_items;
  /// Whether items are, in part, the vectors of their texts.
  static constexpr bool reads_text_vectors = requires { requires Embedding::reads_text_vectors; }
  || requires { requires Candidates::reads_text_vectors; };
  /// Whether it takes the vectors of a model trained before, where the catalogue has them.
  static constexpr bool reads_item_vectors = requires { requires Embedding::reads_item_vectors; };
  /// Whether the loss is defined for items of training histories alone.
  static constexpr bool seen_targets = requires { requires L::seen_targets; };
  /// Whether histories are read as prompts of a language model.
  static constexpr bool reads_prompts = requires { requires Embedding::reads_prompt; };
  /// Whether a score is the product of a query and an item's key. Otherwise the similarity brings
  /// a scorer of its own, which gives whole tiles.
  static constexpr bool scores_digits = std::same_as<typename S::Out, flow::DigitScores>;
  static constexpr bool scores_are_products = !scores_digits && !requires {
    typename S::template Scores<float>;
  };
  static_assert(
      scores_are_products || scores_digits || requires { requires L::full_catalogue; },
      "simgr: CrossAttention makes an item's vector anew for each user, so its scores "
      "come in whole rows; use a loss over the FullCatalogue, such as "
      "ItemCrossEntropy<FullCatalogue>");

  struct Config {
    typename E::Config encoder{};
    typename P::Config pooler{};
    typename S::Config similarity{};
    typename Candidates::Config candidates{};
    typename L::Config loss{};
    RankerConfig ranker{};

    template <class F, class C>
    static void for_each_field(C& c, F&& f) {
      fields_of("encoder", c.encoder, f);
      fields_of("pooler", c.pooler, f);
      fields_of("similarity", c.similarity, f);
      fields_of("candidates", c.candidates, f);
      fields_of("loss", c.loss, f);
      fields_of("ranker", c.ranker, f);
    }
    PoolerShape pooler_shape() const {
      return {encoder.width, Embedding::tokens_per_item(encoder.embedding_shape()),
              encoder.catalogue.digits};
    }
    /// Vectors that stand side by side in an item, and in a user: one, or a set.
    Index vectors_per_item() const noexcept {
      return requires {
        Candidates::side_by_side;
      }
      ? Embedding::tokens_per_item(encoder.embedding_shape()) : 1;
    }
    /// Numbers that a user is for the candidates: a vector, a set of them, or one for each digit.
    Index query_width() const noexcept {
      Index beside = 0;  // of a state: what a similarity puts there
      if constexpr (requires { S::columns_beside; }) {
        beside = S::columns_beside;
      }
      return encoder.width * (scores_digits ? encoder.catalogue.digits : vectors_per_item()) +
             beside;
    }
    typename Candidates::Shape candidates_shape() const {
      return {encoder.width, encoder.catalogue, candidates};
    }
  };
  /// The first broken rule, or empty.
  static std::string check(const Config& c) {
    if constexpr (encodes_items && !requires { requires L::full_catalogue; }) {
      if (c.candidates.refresh == 0) {
        return "candidates.refresh: expected at least 1, because this loss picks its own negatives "
               "from a bank of all items, found 0";
      }
    }
    const std::string sentence = out_of_range(c);
    return sentence.empty() ? E::check(c.encoder) : sentence;
  }

  template <class T, class Space = Host>
  struct Params {
    typename E::template Params<T, Space> encoder;
    typename P::template Params<T, Space> pooler;
    typename Candidates::template Params<T, Space> candidates;
    typename S::template Params<T, Space> similarity;
    Matrix<T, Space> tags;
  };
  template <class F, class... Q>
  static void for_each_parameter(const Config& c, F&& f, Q&... p) {
    E::for_each_parameter(c.encoder, under("encoder", f), p.encoder...);
    P::for_each_parameter(c.pooler_shape(), under("pooler", f), p.pooler...);
    Candidates::for_each_parameter(c.candidates_shape(), under("candidates", f), p.candidates...);
    S::for_each_parameter(c.similarity, under("similarity", f), p.similarity...);
    if constexpr (task_tags > 0) {
      // In a group of its own, which files of models may have and who serves passes by.
      f(Spec<2>{"training/tags", {task_tags, c.encoder.width}, Init::normal(0.02)}, p.tags...);
    }
  }

  /// What a step computes from the parameters alone.
  template <class T, class Space = Host>
  struct Shared {
    Matrix<const T, Space> rows;     // of the embedding
    Matrix<const T, Space> vectors;  // of the candidates [items, width]
    Matrix<const T, Space> keys;     // [items, width]
    Matrix<const T, Space> terms;    // [items, …]: what scores that are no products read besides
    typename Embedding::template Cache<T, Space> embedding;
    typename Candidates::template Cache<T, Space> candidates;
    typename S::template KeyCache<T, Space> key_cache;
  };
  /// Where the gradients of those land. Tied parts are the same memory.
  template <class T, class Space = Host>
  struct SharedGradient {
    Matrix<T, Space> rows, vectors, keys;
  };
  template <class T, class Space = Host>
  struct Cache {
    typename E::template Cache<T, Space> encoder;
    typename P::template Cache<T, Space> pooler;
    typename S::template QueryCache<T, Space> queries;
    typename Candidates::template Cache<T, Space> items;
    typename S::template KeyCache<T, Space> item_keys;
  };

  /// @param bank  keys of the whole catalogue, where candidates are encoded items; ignored otherwise
  template <class T, class Space, class Ctx>
  static void prepare(const Config& c, const Params<T, Space>& p, const ItemsView<Space>& items,
                      Matrix<const T, Space> bank, Shared<T, Space>& shared, Ctx& ctx) {
    shared.rows = Embedding::rows(c.encoder.embedding_shape(), p.encoder.embedding, items,
                                  shared.embedding, ctx);
    if constexpr (encodes_items) {
      shared.keys = bank;
    } else {
      shared.vectors = Candidates::vectors(c.candidates_shape(), p.candidates,
                                           read_by_candidates(p.encoder.embedding, shared.rows),
                                           items, shared.candidates, ctx);
      shared.keys = S::keys(c.similarity, p.similarity, shared.vectors, shared.key_cache, ctx);
      if constexpr (requires { S::terms(shared.candidates); }) {
        shared.terms = S::terms(shared.candidates);
      }
    }
  }

  /// Zeroed places for the gradients of one shard (or of all).
  template <class T, class Space, class Ctx>
  static SharedGradient<T, Space> shared_gradient(const Config& c, const Params<T, Space>& grad,
                                                  Ctx& ctx) {
    SharedGradient<T, Space> gradient;
    gradient.rows =
        Embedding::rows_gradient(c.encoder.embedding_shape(), grad.encoder.embedding, ctx);
    if constexpr (encodes_items) {
      const Index rows = c.candidates.refresh == 0 ? 0 : c.encoder.catalogue.items;
      gradient.keys = ctx.template take<T>(rows, c.encoder.width);
      fill(ctx, gradient.keys, T(0));
    } else {
      gradient.vectors =
          Candidates::gradient(c.candidates_shape(), grad.candidates,
                               read_by_candidates(grad.encoder.embedding, gradient.rows), ctx);
      gradient.keys = S::keys_gradient(c.similarity, gradient.vectors, ctx);
    }
    return gradient;
  }

  /// Adds the gradients of weight · Σ_rows loss(row) to `grad` and `into`; returns that sum.
  /// `batch` is the loss's view of the same histories: its targets are one for each row the pooler
  /// gives.
  template <class Batch, class T, class Space, class Ctx>
  static double shard(const Config& c, const Params<T, Space>& p, const Params<T, Space>& grad,
                      const Shared<T, Space>& shared, const SharedGradient<T, Space>& into,
                      const ItemsView<Space>& items, const Batch& batch, T weight,
                      Cache<T, Space>& cache, Ctx& ctx) {
    const auto read = [&]() -> Matrix<T, Space> {
      if constexpr (autoregressive) {
        return E::forward_targets(c.encoder, p.encoder, shared.rows, items, batch.history,
                                  batch.targets, cache.encoder, ctx);
      } else {
        return E::forward(c.encoder, p.encoder, shared.rows, items, batch.history, cache.encoder,
                          ctx);
      }
    };
    const Matrix<T, Space> tokens = read();
    double value = 0;
    const Matrix<T, Space> dtokens =
        compare(c, p, grad, shared, into, items, tokens, cache.encoder.offsets, batch, weight,
                value, cache, ctx);
    if constexpr (autoregressive) {
      E::backward_targets(c.encoder, p.encoder, grad.encoder, dtokens, into.rows, cache.encoder,
                          ctx);
    } else {
      E::backward(c.encoder, p.encoder, grad.encoder, dtokens, into.rows, cache.encoder, ctx);
    }
    return value;
  }

  /// The stages behind the encoder, there and back: from the states of tokens to the loss, which is
  /// `value`, and to their gradient.   tokens [tokens, width] -> the same
  template <class Batch, class T, class Space, class Ctx>
  static Matrix<T, Space>
  compare(const Config& c, const Params<T, Space>& p, const Params<T, Space>& grad,
          const Shared<T, Space>& shared, const SharedGradient<T, Space>& into,
          const ItemsView<Space>& items, Matrix<T, Space> tokens, Offsets offsets,
          const Batch& batch, T weight, double& value, Cache<T, Space>& cache, Ctx& ctx) {
    const Matrix<T, Space> states =
        P::forward(c.pooler_shape(), p.pooler, tokens, offsets, cache.pooler, ctx);
    const Matrix<const T, Space> queries =
        S::queries(c.similarity, p.similarity, states, cache.queries, ctx);
    auto scores = scorer(c, p, grad, shared, items, queries,
                         ctx.template take<T>(queries.rows(), queries.cols()), into.keys, ctx);
    if constexpr (encodes_items) {
      value =
          against_encoded_items(c, p, grad, shared, into, items, batch, weight, scores, cache, ctx);
    } else {
      value = L::value_and_gradient(c.loss, scores, batch, weight, ctx);
    }
    if constexpr (requires { scores.finish(ctx); }) {
      scores.finish(ctx);
    }
    const Matrix<T, Space> dstates = S::queries_backward(
        c.similarity, p.similarity, grad.similarity, scores.dqueries, cache.queries, ctx);
    return P::backward(c.pooler_shape(), p.pooler, grad.pooler, dstates, offsets, cache.pooler,
                       ctx);
  }

  /// From the gradients of keys, vectors and rows, summed over shards, to the parameters.
  /// -> a loss that the embedding has besides, or 0
  template <class T, class Space, class Ctx>
  static double finish(const Config& c, const Params<T, Space>& p, const Params<T, Space>& grad,
                       const Shared<T, Space>& shared, const SharedGradient<T, Space>& from,
                       const ItemsView<Space>& items, Ctx& ctx) {
    if constexpr (!encodes_items) {
      S::keys_backward(c.similarity, p.similarity, from.keys, from.vectors, shared.key_cache, ctx);
      Candidates::backward(c.candidates_shape(), p.candidates, grad.candidates, shared.rows, items,
                           from.vectors, from.rows, shared.candidates, ctx);
    }
    const auto shape = c.encoder.embedding_shape();
    double own = 0;
    if constexpr (requires {
                    Embedding::own_loss(shape, p.encoder.embedding, grad.encoder.embedding,
                                        from.rows, shared.embedding, ctx);
                  }) {
      own = Embedding::own_loss(shape, p.encoder.embedding, grad.encoder.embedding, from.rows,
                                shared.embedding, ctx);
    }
    Embedding::rows_backward(shape, p.encoder.embedding, grad.encoder.embedding, items, from.rows,
                             shared.embedding, ctx);
    return own;
  }

  /// Queries of histories for serving: the last position of each.
  /// -> [sequences, width], or [sequences · digits, width]
  template <class T, class Space, class Ctx>
  static Matrix<const T, Space> queries(const Config& c, const Params<T, Space>& p,
                                        Matrix<const T, Space> rows, const ItemsView<Space>& items,
                                        RaggedView<ItemId> history, Cache<T, Space>& cache,
                                        Ctx& ctx) requires(!autoregressive) {
    SIMGR_ASSERT(!ctx.training, "queries are for serving");
    const auto states = [&]() -> Matrix<T, Space> {
      if constexpr (
          requires { P::serves_last_position; } &&
          requires {
            E::forward_last(c.encoder, p.encoder, rows, items, history, cache.encoder, ctx);
          }) {
        const Matrix<T, Space> last =
            E::forward_last(c.encoder, p.encoder, rows, items, history, cache.encoder, ctx);
        if constexpr (requires {
                        P::of_positions(c.pooler_shape(), p.pooler, last, cache.pooler, ctx);
                      }) {
          return P::of_positions(c.pooler_shape(), p.pooler, last, cache.pooler, ctx);
        } else {
          return last;
        }
      } else {
        const Matrix<T, Space> tokens =
            E::forward(c.encoder, p.encoder, rows, items, history, cache.encoder, ctx);
        return P::forward(c.pooler_shape(), p.pooler, tokens, cache.encoder.offsets, cache.pooler,
                          ctx);
      }
    };
    return S::queries(c.similarity, p.similarity, states(), cache.queries, ctx);
  }

  /// What a loss and a ranker read scores from: products of queries and keys, of items or of digits,
  /// or the similarity's own, with tile(ctx, first, count, scores). dqueries and dkeys may be empty where nothing goes
  /// back.
  template <class T, class Space, class Ctx>
  static auto scorer(const Config& c, const Params<T, Space>& p, const Params<T, Space>& grad,
                     const Shared<T, Space>& shared, const ItemsView<Space>& items,
                     Matrix<const T, Space> queries, Matrix<T, Space> dqueries,
                     Matrix<T, Space> dkeys, Ctx& ctx) {
    if constexpr (scores_are_products) {
      return ProductScores<T, Space>{queries, shared.keys, dqueries, dkeys, c.vectors_per_item()};
    } else if constexpr (scores_digits) {
      return DigitProducts<T, Space>{queries, shared.keys, dqueries,
                                     dkeys,   items,       c.candidates.support};
    } else {
      return S::scores(c.similarity, p.similarity, grad.similarity, items, shared.terms, queries,
                       shared.keys, dqueries, dkeys, ctx);
    }
  }

  /// Keys of items `ids` into `keys` [ids, width]: item by item, for banks and new items.
  template <class T, class Space, class Ctx>
  static void encode_keys(const Config& c, const Params<T, Space>& p, Matrix<const T, Space> rows,
                          const ItemsView<Space>& items, std::span<const ItemId> ids,
                          Matrix<T, Space> keys, Cache<T, Space>& cache,
                          Ctx& ctx) requires encodes_items {
    const Matrix<T, Space> vectors =
        Candidates::encode(c.encoder, p.encoder, rows, items, ids, cache.items, ctx);
    copy(ctx, S::keys(c.similarity, p.similarity, vectors, cache.item_keys, ctx), keys,
         Write::assign);
  }

private:
  // What candidates are read from: the embedding's rows, or the digit table below them, or what the
  // embedding has for outputs in its place.
  template <class EmbeddingParams, class Rows>
  static Rows read_by_candidates(const EmbeddingParams& embedding, Rows rows) {
    if constexpr (requires {
                    Candidates::reads_digit_table;
                    embedding.outputs;
                  }) {
      return embedding.outputs.empty() ? embedding.table : embedding.outputs;
    } else if constexpr (requires { Candidates::reads_digit_table; }) {
      return embedding.table;
    } else {
      return rows;
    }
  }

  // Encodes the live items of a shard, and goes back through them alone.
  template <class Batch, class T, class Space, class Ctx>
  static double
  against_encoded_items(const Config& c, const Params<T, Space>& p, const Params<T, Space>& grad,
                        const Shared<T, Space>& shared, const SharedGradient<T, Space>& into,
                        const ItemsView<Space>& items, const Batch& batch, T weight,
                        ProductScores<T, Space>& scores, Cache<T, Space>& cache, Ctx& ctx) {
    const auto live =
        Candidates::template choose_live<T, Space>(c.candidates_shape(), batch.targets, ctx);
    const Matrix<T, Space> vectors =
        Candidates::encode(c.encoder, p.encoder, shared.rows, items, live.ids, cache.items, ctx);
    const Matrix<const T, Space> keys =
        S::keys(c.similarity, p.similarity, vectors, cache.item_keys, ctx);
    const Matrix<T, Space> dvectors = ctx.template take<T>(vectors.rows(), vectors.cols());
    fill(ctx, dvectors, T(0));
    const Matrix<T, Space> dkeys = S::keys_gradient(c.similarity, dvectors, ctx);
    const double value =
        c.candidates.refresh == 0
            ? loss_over_live<L>(c.loss, live, keys, dkeys, batch, weight, scores, ctx)
            : loss_over_bank<L>(c.loss, live, keys, dkeys, batch, weight, scores, ctx);
    S::keys_backward(c.similarity, p.similarity, dkeys, dvectors, cache.item_keys, ctx);
    Candidates::encode_backward(c.encoder, p.encoder, grad.encoder, dvectors, into.rows,
                                cache.items, ctx);
    return value;
  }
};

}  // namespace simgr::SIMGR_ABI
