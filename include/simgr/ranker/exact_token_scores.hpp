// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <span>

#include <simgr/core/fields.hpp>
#include <simgr/flow.hpp>
#include <simgr/ranker/child_scores.hpp>
#include <simgr/ranker/seen_items.hpp>

namespace simgr::SIMGR_ABI::ranker {

/// The exact log-probability of every item, by teacher forcing, and the best items by it: what a
/// beam of unlimited width would end with.
///
///   score(item) = Σ_l log p(digit l | digits before, history)
///
/// A prefix that many items share is computed once for each row, so the cost is the number of
/// distinct prefixes, not items · digits. The trie is walked depth first in tiles of nodes, all
/// rows together: memory is that of one tile and its children for each digit, whatever the
/// catalogue.
///
/// Items of one tuple have the score of the tuple. Where ids are unique, Σ e^score is one minus the
/// probability that the softmax gives to what is no item; with Support::children it is one.
///
/// Shapes  out [rows, items];  ids, best [rows, k];  found [rows]
/// Cost    rows · prefixes of 1 to digits - 1 digits through the decoder
struct ExactTokenScores {
  using In = flow::DigitScores;
  static constexpr bool decodes = true;

  struct Config {
    Support support = Support::trained;  // of the softmax
    // Nodes that go through the decoder together; 512 outgrow a cache of 512 KiB, and take a tenth
    // longer.
    Index tile = 160;

    template <class F, class C>
    static void for_each_field(C& c, F&& f) {
      f(Field{"support", 0, 3, "what probabilities sum to one over"}, c.support);
      f(Field{"tile", 1, 1 << 24, "prefixes that go through the decoder together"}, c.tile);
    }
  };

  using State = Trie;
  template <class Ctx, class Decoder>
  static Trie prepare(Ctx&, const Config&, const Decoder& decoder) {
    return Trie(decoder.items);
  }
  /// out [rows, items]
  template <class Ctx, class Decoder>
  static void score(Ctx& ctx, const Config& c, const Trie& trie, Decoder& decoder,
                    Matrix<float> out) {
    visit_prefixes(ctx, c, trie, decoder, [&](Index row, Index depth, Index node, float score) {
      if (depth == trie.digits()) {
        for (const ItemId item : trie.items_below(depth, node)) { out(row, item) = score; }
      }
    });
  }
  /// Calls visit(row, depth, node, score) once for every row and every node of depth 1 or more:
  /// score = log p(its digits | history). Nodes come before those below them.
  template <class Ctx, class Decoder, class Visit>
  static void visit_prefixes(Ctx& ctx, const Config& c, const Trie& trie, Decoder& decoder,
                             Visit&& visit) {
    Arena::Scope scope(ctx.arena);
    const Nodes roots = take_nodes(ctx, decoder.rows());
    for (Index row = 0; row < decoder.rows(); ++row) { roots.set(row, 0, row, row, 0.0f); }
    descend(c, trie, ctx, decoder, 0, roots, decoder.begin(ctx), visit);
  }

  template <class Ctx, class Decoder>
  static void rank(Ctx& ctx, const Config& c, const Trie& trie, Decoder& decoder,
                   const ItemFilter& filter, Matrix<ItemId> ids, Matrix<float> best,
                   Vector<Index> found) {
    Arena::Scope scope(ctx.arena);
    const Matrix<float> scores = ctx.template take<float>(ids.rows(), trie.items());
    score(ctx, c, trie, decoder, scores);
    for (Index row = 0; row < ids.rows(); ++row) {
      Arena::Scope of_row(ctx.arena);
      const auto memory = ctx.template take<ItemId>(rule_memory(filter, row));
      const RowRule rule = rule_of(filter, row, trie.items(), memory.span());
      found[row] = top_k(ctx, scores.row(row), rule, ids.row(row), best.row(row));
    }
  }

private:
  /// Nodes of one depth, in the order of rows and of the trie.
  struct Nodes {
    Vector<std::int32_t> nodes, rows, parents;  // parents: places in the tile before
    Vector<float> scores;

    void set(Index n, Index node, Index row, Index parent, float score) const noexcept {
      nodes[n] = static_cast<std::int32_t>(node);
      rows[n] = static_cast<std::int32_t>(row);
      parents[n] = static_cast<std::int32_t>(parent);
      scores[n] = score;
    }
    Nodes slice(Index begin, Index count) const noexcept {
      return {nodes.slice(begin, count), rows.slice(begin, count), parents.slice(begin, count),
              scores.slice(begin, count)};
    }
  };
  template <class Ctx>
  static Nodes take_nodes(Ctx& ctx, Index count) {
    return {ctx.template take<std::int32_t>(count), ctx.template take<std::int32_t>(count),
            ctx.template take<std::int32_t>(count), ctx.template take<float>(count)};
  }

  template <class Ctx, class Decoder, class Visit>
  static void descend(const Config& c, const Trie& trie, Ctx& ctx, Decoder& decoder, Index depth,
                      const Nodes& tile, Matrix<const float> queries, Visit&& visit) {
    const std::span<const std::int32_t> nodes(tile.nodes.span());
    if (depth + 1 == trie.digits()) {
      visit_children(ctx, decoder, trie, c.support, depth, nodes, queries,
                     [&](Index n, Index leaf, float log_p) {
                       visit(Index{tile.rows[n]}, depth + 1, leaf, tile.scores[n] + log_p);
                     });
      return;
    }
    Index count = 0;
    for (const std::int32_t node : nodes) { count += trie.children(depth, node).size(); }
    Arena::Scope scope(ctx.arena);
    const Nodes children = take_nodes(ctx, count);
    const auto digit_rows = ctx.template take<std::int32_t>(count);
    count = 0;
    visit_children(ctx, decoder, trie, c.support, depth, nodes, queries,
                   [&](Index n, Index child, float log_p) {
                     const float score = tile.scores[n] + log_p;
                     digit_rows[count] = trie.row(depth + 1, child);
                     children.set(count++, child, tile.rows[n], n, score);
                     visit(Index{tile.rows[n]}, depth + 1, child, score);
                   });
    for (Index begin = 0; begin < count; begin += c.tile) {
      Arena::Scope of_tile(ctx.arena);
      const Index size = std::min(c.tile, count - begin);
      const Nodes part = children.slice(begin, size);
      const Matrix<const float> deeper =
          decoder.step(ctx, depth + 1, std::span<const std::int32_t>(part.parents.span()),
                       std::span<const std::int32_t>(digit_rows.slice(begin, size).span()));
      descend(c, trie, ctx, decoder, depth + 1, part, deeper, visit);
    }
  }
};

}  // namespace simgr::SIMGR_ABI::ranker
