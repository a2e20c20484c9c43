// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <simgr/composition.hpp>
#include <simgr/core/fields.hpp>
#include <simgr/core/parameter.hpp>
#include <simgr/core/ragged.hpp>
#include <simgr/core/rng.hpp>
#include <simgr/loss/self_supervised.hpp>
#include <simgr/nn/linear.hpp>

namespace simgr::SIMGR_ABI::train {

/// What each of S3-Rec's four tasks counts.
struct SelfSupervisionWeights {
  double associated_attributes = 0.2;  // AAP: of an item that is read
  double masked_item = 1;              // MIP
  double masked_attributes = 1;        // MAP: of an item that is hidden
  double segment = 0.5;                // SP: the rest of a sequence against a part of it

  template <class F, class C>
  static void for_each_field(C& c, F&& f) {
    f(Field{"associated_attributes", 0, 1e6, "weight of the attributes of items that are read"},
      c.associated_attributes);
    f(Field{"masked_item", 0, 1e6, "weight of hidden items"}, c.masked_item);
    f(Field{"masked_attributes", 0, 1e6, "weight of the attributes of hidden items"},
      c.masked_attributes);
    f(Field{"segment", 0, 1e6, "weight of sequences that miss a segment"}, c.segment);
  }
};

/// Sequences to learn from without a target. Each example is four packed sequences of one length:
/// some items hidden; a segment hidden; all but that segment hidden; all but a segment of somebody else
/// hidden.
struct SelfSupervisionBatch {
  Ragged<ItemId> sequences;
  // Of the first of each four:
  std::vector<std::int32_t> hidden, read;  // tokens
  std::vector<ItemId> behind, items;  // what stands behind the hidden ones; what the others are
  std::vector<ItemId> negatives;      // an item that the user does not have, for each hidden one

  Index examples() const noexcept { return sequences.sequences() / 4; }
  void clear() noexcept {
    sequences.clear();
    for (auto* tokens : {&hidden, &read}) { tokens->clear(); }
    for (auto* ids : {&behind, &items, &negatives}) { ids->clear(); }
  }
  /// @param whole     an item at least
  /// @param stranger  items of others, as many or more; from where the segment is taken
  void add(std::span<const ItemId> whole, std::span<const ItemId> stranger, double share,
           Index catalogue, Rng& rng) {
    const auto mask = static_cast<ItemId>(catalogue);
    const auto length = static_cast<Index>(whole.size());
    std::vector<ItemId> sequence(whole.begin(), whole.end());
    for (Index t = 0; t < length; ++t) {
      const auto at = static_cast<std::size_t>(t);
      const auto token = static_cast<std::int32_t>(sequences.tokens() + t);
      if (t + 1 < length && rng.uniform() >= share) {
        read.push_back(token);
        items.push_back(whole[at]);
        continue;
      }
      hidden.push_back(token);
      behind.push_back(whole[at]);
      sequence[at] = mask;
      ItemId other = 0;
      for (int attempt = 0; attempt < 100; ++attempt) {  // a user may have everything
        other = static_cast<ItemId>(rng.below(catalogue));
        if (std::find(whole.begin(), whole.end(), other) == whole.end()) {
          break;
        }
      }
      negatives.push_back(other);
    }
    sequences.push_back(sequence);
    const Index part = 1 + rng.below(std::max<Index>(1, length / 2)),
                first = rng.below(length - part + 1),
                from = rng.below(static_cast<Index>(stranger.size()) - part + 1);
    const auto masked = [&](std::span<const ItemId> segment, bool inside) {
      for (Index t = 0; t < length; ++t) {
        const bool within = t >= first && t < first + part;
        sequence[static_cast<std::size_t>(t)] = within != inside ? mask
                                                : within
                                                    ? segment[static_cast<std::size_t>(t - first)]
                                                    : whole[static_cast<std::size_t>(t)];
      }
      sequences.push_back(sequence);
    };
    const auto segment_of = [&](std::span<const ItemId> all, Index begin) {
      return all.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(part));
    };
    masked({}, false);
    masked(segment_of(whole, first), true);
    masked(segment_of(stranger, from), true);
  }
};

/// S3-Rec's pre-training as one differentiable function of one block of parameters: an encoder, and
/// what asks it for attributes, items and segments.
///
///   AAP, MAP  Σ_a BCE(σ(a · W h), whether the item has a)      W of each its own, with a bias
///   MIP       −log σ(σ(W h · e⁺) − σ(W h · e⁻))
///   SP        −log σ(σ(W c · g⁺) − σ(W c · g⁻)),   the last states of the other three sequences
///
/// @tparam Stack  TransformerEncoder<MaskedItemEmbedding, Bidirectional, …>
///
/// Parameters  encoder;  attributes [attributes, width];  associated, masked_item, masked_attributes,
///             segment: weight [width, width], bias
/// Cost        four sequences through the encoder, and of their first O(tokens · attributes · width);
///             labels stay lists
/// Gradients   accumulate
/// Source      Zhou et al. 2020 (S3-Rec), equations 5 to 9, and their published code
template <class Stack>
struct SelfSupervision {
  struct Config {
    typename Stack::Config encoder{};
    Index attributes = 0;
    SelfSupervisionWeights weights{};

    Linear::Config square() const {
      return {encoder.width, encoder.width, true, Init::normal(encoder.deviation)};
    }
  };
  template <class T, class S = Host>
  struct Params {
    typename Stack::template Params<T, S> encoder;
    Matrix<T, S> attributes;
    Linear::Params<T, S> associated, masked_item, masked_attributes, segment;
  };
  template <class T, class S = Host>
  struct Cache {
    typename Stack::template Cache<T, S> encoder;
  };
  template <class F, class... P>
  static void for_each_parameter(const Config& c, F&& f, P&... p) {
    Stack::for_each_parameter(c.encoder, under("encoder", f), p.encoder...);
    f(Spec<2>{"attributes", {c.attributes, c.encoder.width}, Init::normal(c.encoder.deviation)},
      p.attributes...);
    Linear::for_each_parameter(c.square(), under("associated", f), p.associated...);
    Linear::for_each_parameter(c.square(), under("masked_item", f), p.masked_item...);
    Linear::for_each_parameter(c.square(), under("masked_attributes", f), p.masked_attributes...);
    Linear::for_each_parameter(c.square(), under("segment", f), p.segment...);
  }

  /// Adds the gradients of weight · Σ_examples loss to `grad`; returns that sum.
  /// @param attributes  [items], ascending; or none
  template <class T, class S, class Ctx>
  static double step(const Config& c, const Params<T, S>& p, const Params<T, S>& grad,
                     const SelfSupervisionBatch& batch, RaggedView<std::int32_t> attributes,
                     double weight, Cache<T, S>& cache, Ctx& ctx) {
    const Matrix<const T, S> rows = p.encoder.embedding.table;
    const ItemsView<S> items{c.encoder.catalogue.items, {}};
    const Matrix<T, S> states = Stack::forward(c.encoder, p.encoder, rows, items,
                                               batch.sequences.view(), cache.encoder, ctx);
    const Matrix<T, S> dstates = ctx.template take<T>(states.rows(), states.cols());
    fill(ctx, dstates, T(0));
    const SelfSupervisionWeights& of = c.weights;
    double loss = 0;
    if (c.attributes > 0) {
      const auto ask = [&](const auto& map, const auto& dmap, const auto& tokens,
                           const auto& of_items, double share) {
        if (share > 0 && !tokens.empty()) {
          loss += ask_attributes<T, S>(c, p, grad, map, dmap, states, dstates, tokens, of_items,
                                       attributes, share * weight, ctx);
        }
      };
      ask(p.associated, grad.associated, batch.read, batch.items, of.associated_attributes);
      ask(p.masked_attributes, grad.masked_attributes, batch.hidden, batch.behind,
          of.masked_attributes);
    }
    if (of.masked_item > 0) {
      loss += compare<T, S>(c, p.masked_item, grad.masked_item, states, dstates, batch.hidden, rows,
                            grad.encoder.embedding.table, batch.behind, batch.negatives,
                            of.masked_item * weight, ctx);
    }
    if (of.segment > 0) {
      std::vector<std::int32_t> ends[3];
      for (Index s = 0; s < batch.sequences.sequences(); ++s) {
        if (s % 4 > 0) {
          ends[s % 4 - 1].push_back(static_cast<std::int32_t>(
              batch.sequences.offsets[static_cast<std::size_t>(s) + 1] - 1));
        }
      }
      loss += compare<T, S>(c, p.segment, grad.segment, states, dstates, ends[0], states, dstates,
                            ends[1], ends[2], of.segment * weight, ctx);
    }
    Stack::backward(c.encoder, p.encoder, grad.encoder, MatrixArg<T, S>(dstates),
                    grad.encoder.embedding.table, cache.encoder, ctx);
    return loss;
  }

private:
  /// The attributes of the items at some tokens.
  template <class T, class S, class Ctx>
  static double ask_attributes(const Config& c, const Params<T, S>& p, const Params<T, S>& grad,
                               const Linear::Params<T, S>& map, const Linear::Params<T, S>& dmap,
                               MatrixArg<T, S> states, Matrix<T, S> dstates,
                               std::span<const std::int32_t> tokens,
                               std::span<const ItemId> of_items,
                               RaggedView<std::int32_t> attributes, double weight, Ctx& ctx) {
    Arena::Scope scope(ctx.arena);
    const auto count = static_cast<Index>(tokens.size());
    const Matrix<T, S> h = ctx.template take<T>(count, c.encoder.width),
                       dmapped = ctx.template take<T>(count, c.encoder.width),
                       scores = ctx.template take<T>(count, c.attributes);
    gather_rows(ctx, states, tokens, h);
    Linear::Cache<T, S> cache;
    const Matrix<T, S> mapped = Linear::forward(c.square(), map, MatrixArg<T, S>(h), cache, ctx);
    gemm_nt(ctx, mapped, p.attributes, scores, Write::assign);
    double loss = 0;
    for (Index r = 0; r < count; ++r) {
      loss += binary_of_labels(ctx, scores.row(r),
                               attributes[of_items[static_cast<std::size_t>(r)]], weight);
    }
    gemm_nn(ctx, scores, p.attributes, dmapped, Write::assign);
    gemm_tn(ctx, scores, mapped, grad.attributes, Write::add);
    const Matrix<T, S> dh =
        Linear::backward(c.square(), map, dmap, MatrixArg<T, S>(dmapped), cache, ctx);
    scatter_add_rows(ctx, dh, tokens, T(1), dstates);
    return loss;
  }

  /// A map of the states at `asked` against two rows of a table: the right one and a wrong one.
  template <class T, class S, class Ctx>
  static double
  compare(const Config& c, const Linear::Params<T, S>& map, const Linear::Params<T, S>& dmap,
          MatrixArg<T, S> states, Matrix<T, S> dstates, std::span<const std::int32_t> asked,
          MatrixArg<T, S> table, Matrix<T, S> dtable, std::span<const std::int32_t> right,
          std::span<const std::int32_t> wrong, double weight, Ctx& ctx) {
    Arena::Scope scope(ctx.arena);
    const auto count = static_cast<Index>(asked.size());
    const auto take = [&] { return ctx.template take<T>(count, c.encoder.width); };
    const Matrix<T, S> h = take(), yes = take(), no = take(), dmapped = take(), dyes = take(),
                       dno = take();
    const Vector<T, S> of_right = ctx.template take<T>(count),
                       of_wrong = ctx.template take<T>(count);
    gather_rows(ctx, states, asked, h);
    gather_rows(ctx, table, right, yes);
    gather_rows(ctx, table, wrong, no);
    Linear::Cache<T, S> cache;
    const Matrix<T, S> mapped = Linear::forward(c.square(), map, MatrixArg<T, S>(h), cache, ctx);
    row_dots(ctx, mapped, yes, of_right);
    row_dots(ctx, mapped, no, of_wrong);
    double loss = 0;
    for (Index r = 0; r < count; ++r) { loss += squashed_pair(of_right[r], of_wrong[r], weight); }
    scale_rows(ctx, of_right, yes, dmapped, Write::assign);
    scale_rows(ctx, of_wrong, no, dmapped, Write::add);
    scale_rows(ctx, of_right, mapped, dyes, Write::assign);
    scale_rows(ctx, of_wrong, mapped, dno, Write::assign);
    const Matrix<T, S> dh =
        Linear::backward(c.square(), map, dmap, MatrixArg<T, S>(dmapped), cache, ctx);
    scatter_add_rows(ctx, dh, asked, T(1), dstates);
    scatter_add_rows(ctx, dyes, right, T(1), dtable);
    scatter_add_rows(ctx, dno, wrong, T(1), dtable);
    return loss;
  }
};

}  // namespace simgr::SIMGR_ABI::train
