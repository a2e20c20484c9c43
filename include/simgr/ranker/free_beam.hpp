// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>

#include <simgr/core/error.hpp>
#include <simgr/core/fields.hpp>
#include <simgr/flow.hpp>
#include <simgr/ranker/child_scores.hpp>
#include <simgr/ranker/seen_items.hpp>
#include <simgr/ranker/tuple_lists.hpp>

namespace simgr::SIMGR_ABI::ranker {

/// Beam search over all digits of the support, whether or not an item has them; what is no item in
/// the end is dropped. The decoding of papers that have no trie: invalid tuples take places in the
/// beam, and lists get shorter by them, by seen and by denied items.
///
/// @see TrieBeam for scores, shared tuples and order
///
/// Shapes  ids, best [rows, k];  found [rows]
/// Cost    that of TrieBeam, and width · support scores for each row and digit
struct FreeBeam {
  using In = flow::DigitScores;
  static constexpr bool decodes = true;

  struct Config {
    Index width = 20;                    // prefixes that go on
    Support support = Support::trained;  // candidates, and what the softmax is over

    template <class F, class C>
    static void for_each_field(C& c, F&& f) {
      f(Field{"width", 1, 1 << 16, "prefixes of each length that the beam keeps"}, c.width);
      f(Field{"support", 0, 2, "which codes may come next, and compete"}, c.support);
    }
  };

  using State = Trie;
  /// @throws ConfigError  more extensions of a beam than 32 bits can number
  template <class Ctx, class Decoder>
  static Trie prepare(Ctx&, const Config& c, const Decoder& decoder) {
    Trie trie(decoder.items);
    if (c.width > INT32_MAX / trie.table_rows()) {
      SIMGR_THROW(ConfigError("ranker.width: expected at most " +
                              std::to_string(INT32_MAX / trie.table_rows()) + " with " +
                              std::to_string(trie.table_rows()) + " codes, found " +
                              std::to_string(c.width)));
    }
    return trie;
  }
  template <class Ctx, class Decoder>
  static void rank(Ctx& ctx, const Config& c, const Trie& trie, Decoder& decoder,
                   const ItemFilter& filter, Matrix<ItemId> ids, Matrix<float> best,
                   Vector<Index> found) {
    const Index rows = ids.rows();
    Arena::Scope scope(ctx.arena);
    Beam beam = take_beam(ctx, rows, 1);  // the empty prefix of every row
    fill(ctx, beam.nodes, 0);
    fill(ctx, beam.scores, 0.0f);
    Matrix<const float> queries = decoder.begin(ctx);
    for (Index depth = 0; depth < trie.digits(); ++depth) {
      if (depth > 0) {
        queries = decoder.step(ctx, depth, std::span<const std::int32_t>(beam.parents.span()),
                               std::span<const std::int32_t>(beam.digit_rows.span()));
      }
      beam = extend(c, trie, ctx, decoder, depth, beam, queries);
    }
    for (Index row = 0; row < rows; ++row) {
      Arena::Scope of_row(ctx.arena);
      const auto memory = ctx.template take<ItemId>(rule_memory(filter, row));
      const Index begin = row * beam.width;
      found[row] = list_tuples(
          ctx, trie, std::span<const std::int32_t>(beam.nodes.slice(begin, beam.width).span()),
          std::span<const float>(beam.scores.slice(begin, beam.width).span()),
          rule_of(filter, row, trie.items(), memory.span()), ids.row(row), best.row(row));
    }
  }

private:
  /// The prefixes of one length that go on: `width` for each row, in the order of their parents.
  struct Beam {
    Index width = 0;
    Vector<std::int32_t> nodes;  // of the trie, -1 where the prefix is no item's
    Vector<std::int32_t> parents, digit_rows;
    Vector<float> scores;
  };
  template <class Ctx>
  static Beam take_beam(Ctx& ctx, Index rows, Index width) {
    const Index count = rows * width;
    return {width, ctx.template take<std::int32_t>(count), ctx.template take<std::int32_t>(count),
            ctx.template take<std::int32_t>(count), ctx.template take<float>(count)};
  }

  template <class Ctx, class Decoder>
  static Beam extend(const Config& c, const Trie& trie, Ctx& ctx, Decoder& decoder, Index depth,
                     const Beam& beam, Matrix<const float> queries) {
    const Trie::Range competing = competing_rows(decoder, trie, c.support, depth);
    const Index first = competing.begin, count = competing.size();
    const Index rows = beam.nodes.size() / beam.width;
    const Beam longer = take_beam(ctx, rows, std::min(c.width, beam.width * count));
    for (Index row = 0; row < rows; ++row) {
      Arena::Scope scope(ctx.arena);
      const Matrix<float> scores = ctx.template take<float>(beam.width, count);
      decoder.scores(ctx, queries.slice(row * beam.width, beam.width), first, scores);
      for (Index n = 0; n < beam.width; ++n) {
        const double all = log_sum_exp(ctx, scores.row(n));
        const auto offset =
            static_cast<float>(static_cast<double>(beam.scores[row * beam.width + n]) - all);
        for (float& score : scores.row(n)) { score += offset; }
      }
      const auto places = ctx.template take<ItemId>(longer.width);
      const auto best = ctx.template take<float>(longer.width);
      top_k(ctx, Vector<const float>(scores.data(), {scores.size()}), RowRule{}, places, best);
      std::sort(places.begin(), places.end());
      for (Index i = 0; i < longer.width; ++i) {
        const Index parent = row * beam.width + places[i] / count, at = row * longer.width + i;
        longer.parents[at] = static_cast<std::int32_t>(parent);
        longer.digit_rows[at] = static_cast<std::int32_t>(first + places[i] % count);
        longer.scores[at] = scores.data()[places[i]];
        longer.nodes[at] = beam.nodes[parent] < 0
                               ? -1
                               : static_cast<std::int32_t>(
                                     trie.child(depth, beam.nodes[parent], longer.digit_rows[at]));
      }
    }
    return longer;
  }
};

}  // namespace simgr::SIMGR_ABI::ranker
