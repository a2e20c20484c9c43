// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <span>

#include <simgr/core/fields.hpp>
#include <simgr/flow.hpp>
#include <simgr/ranker/child_scores.hpp>
#include <simgr/ranker/listable_nodes.hpp>
#include <simgr/ranker/tuple_lists.hpp>

namespace simgr::SIMGR_ABI::ranker {

/// Beam search along the trie of a catalogue: of the prefixes of each depth the `width` most
/// probable go on.
///
///   score(prefix, c) = score(prefix) + log p(c | prefix, history)
///
/// Tuples have one length, so there is no length penalty. All items of a shared tuple are listed,
/// with its score. A list is valid, unique and sorted (score descending, id ascending), and the
/// same for any order of the rows; items whose prefix was pruned cannot be in it, and k beyond what
/// the beam ends with gives a shorter one.
///
/// What a row must not list (seen, denied, not allowed) is taken out of its trie before the search:
/// a prefix with nothing to list below takes no place in the beam, so lists stay as long as the
/// beam allows. Scores do not change by that, whatever the support. A zeroed item is listed with
/// score 0, above every log-probability, as its protocol says.
///
/// Shapes  ids, best [rows, k];  found [rows]
/// Cost    one step of the decoder for each digit but the first, over all prefixes of all rows
struct TrieBeam {
  using In = flow::DigitScores;
  static constexpr bool decodes = true;

  struct Config {
    Index width = 20;                    // prefixes that go on
    Support support = Support::trained;  // of the softmax

    template <class F, class C>
    static void for_each_field(C& c, F&& f) {
      f(Field{"width", 1, 1 << 24, "prefixes of each length that the beam keeps"}, c.width);
      f(Field{"support", 0, 3, "what probabilities sum to one over"}, c.support);
    }
  };

  using State = Trie;
  template <class Ctx, class Decoder>
  static Trie prepare(Ctx&, const Config&, const Decoder& decoder) {
    return Trie(decoder.items);
  }
  template <class Ctx, class Decoder>
  static void rank(Ctx& ctx, const Config& c, const Trie& trie, Decoder& decoder,
                   const ItemFilter& filter, Matrix<ItemId> ids, Matrix<float> best,
                   Vector<Index> found) {
    const Index rows = ids.rows();
    Arena::Scope scope(ctx.arena);
    const auto rules = ctx.template take<RowRule>(rows);
    const auto listable = ctx.template take<ListableNodes>(rows);
    Beam beam{ctx.template take<std::int32_t>(rows), ctx.template take<float>(rows),
              ctx.template take<Index>(rows + 1)};
    fill(ctx, beam.nodes, 0);
    fill(ctx, beam.scores, 0.0f);
    for (Index row = 0; row < rows; ++row) {
      const auto memory = ctx.template take<ItemId>(rule_memory(filter, row));
      rules[row] = rule_of(filter, row, trie.items(), memory.span());
      listable[row] = ListableNodes(ctx, trie, rules[row]);
      beam.offsets[row] = row;
    }
    beam.offsets[rows] = rows;
    Matrix<const float> queries = decoder.begin(ctx);
    for (Index depth = 0;; ++depth) {
      const Beam longer = extend(c, trie, ctx, decoder, depth, beam, queries, listable);
      if (depth + 1 == trie.digits()) {
        for (Index row = 0; row < rows; ++row) {
          const Index begin = longer.offsets[row], size = longer.offsets[row + 1] - begin;
          found[row] = list_tuples(
              ctx, trie, std::span<const std::int32_t>(longer.nodes.slice(begin, size).span()),
              std::span<const float>(longer.scores.slice(begin, size).span()), rules[row],
              ids.row(row), best.row(row));
        }
        return;
      }
      const auto digit_rows = ctx.template take<std::int32_t>(longer.nodes.size());
      for (Index n = 0; n < digit_rows.size(); ++n) {
        digit_rows[n] = trie.row(depth + 1, longer.nodes[n]);
      }
      queries = decoder.step(ctx, depth + 1, std::span<const std::int32_t>(longer.parents.span()),
                             std::span<const std::int32_t>(digit_rows.span()));
      beam = longer;
    }
  }

private:
  /// The prefixes of one depth that go on, row by row, each row's in the order of the trie.
  struct Beam {
    Vector<std::int32_t> nodes;
    Vector<float> scores;
    Vector<Index> offsets;           // [rows + 1]
    Vector<std::int32_t> parents{};  // places in the beam before
  };

  template <class Ctx, class Decoder>
  static Beam extend(const Config& c, const Trie& trie, Ctx& ctx, Decoder& decoder, Index depth,
                     const Beam& beam, Matrix<const float> queries,
                     const Vector<ListableNodes>& listable) {
    const Index rows = beam.offsets.size() - 1;
    Beam longer{{}, {}, ctx.template take<Index>(rows + 1)};
    Index children = 0, kept = 0;  // upper bounds
    for (Index row = 0; row < rows; ++row) {
      Index of_row = 0;
      for (Index n = beam.offsets[row]; n < beam.offsets[row + 1]; ++n) {
        of_row += trie.children(depth, beam.nodes[n]).size();
      }
      children += of_row;
      kept += std::min(of_row, c.width);
    }
    longer.nodes = ctx.template take<std::int32_t>(kept);
    longer.scores = ctx.template take<float>(kept);
    longer.parents = ctx.template take<std::int32_t>(kept);

    Arena::Scope scope(ctx.arena);
    Beam all{ctx.template take<std::int32_t>(children), ctx.template take<float>(children),
             ctx.template take<Index>(rows + 1), ctx.template take<std::int32_t>(children)};
    fill(ctx, all.offsets, 0);
    Index row = 0, count = 0;
    visit_children(ctx, decoder, trie, c.support, depth,
                   std::span<const std::int32_t>(beam.nodes.span()), queries,
                   [&](Index n, Index child, float log_p) {
                     while (n >= beam.offsets[row + 1]) { all.offsets[++row] = count; }
                     if (listable[row].holds(depth + 1, child)) {
                       all.nodes[count] = static_cast<std::int32_t>(child);
                       all.scores[count] = beam.scores[n] + log_p;
                       all.parents[count++] = static_cast<std::int32_t>(n);
                     }
                   });
    while (row < rows) { all.offsets[++row] = count; }

    Index next = 0;
    for (row = 0; row < rows; ++row) {
      longer.offsets[row] = next;
      Arena::Scope of_row(ctx.arena);
      const Index begin = all.offsets[row], size = all.offsets[row + 1] - begin;
      const auto places = ctx.template take<ItemId>(std::min(size, c.width));
      const auto scores = ctx.template take<float>(places.size());
      top_k(ctx, all.scores.slice(begin, size), RowRule{}, places, scores);
      std::sort(places.begin(), places.end());
      for (const ItemId place : places) {
        longer.nodes[next] = all.nodes[begin + place];
        longer.scores[next] = all.scores[begin + place];
        longer.parents[next++] = all.parents[begin + place];
      }
    }
    longer.offsets[rows] = next;
    longer.nodes = longer.nodes.slice(0, next);
    longer.scores = longer.scores.slice(0, next);
    longer.parents = longer.parents.slice(0, next);
    return longer;
  }
};

}  // namespace simgr::SIMGR_ABI::ranker
