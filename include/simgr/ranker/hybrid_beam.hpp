// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <span>
#include <type_traits>

#include <simgr/core/fields.hpp>
#include <simgr/flow.hpp>
#include <simgr/ranker/exhaustive.hpp>
#include <simgr/ranker/trie_beam.hpp>

// Rankers of models that spell items and also compare them as wholes. Their decoder has, besides
// what child_scores.hpp asks for,
//
//   begin(ctx, ends)         begin(ctx), and the state each history ends with into ends
//                            [rows, width]
//   read(ctx, ends)          the same without a step of the decoder
//   item_scores(ctx, ends)   -> ProductScores of all items
//   width(), items

namespace simgr::SIMGR_ABI::ranker {

/// The best items by their scores as wholes, all of them compared; nothing is spelt.
///
/// Cost  the encoder, and one product [rows, items]
struct DenseScores {
  using In = flow::DigitAndItemScores;
  using Config = NoFields;
  static constexpr bool decodes = true;

  using State = Trie;  // not for lists: for the probabilities of what the decoder would spell
  template <class Ctx, class Decoder>
  static Trie prepare(Ctx&, const Config&, const Decoder& decoder) {
    return Trie(decoder.items);
  }
  template <class Ctx, class Decoder>
  static void rank(Ctx& ctx, const Config&, const Trie&, const Decoder& decoder,
                   const ItemFilter& filter, Matrix<ItemId> ids, Matrix<float> best,
                   Vector<Index> found) {
    Arena::Scope scope(ctx.arena);
    const Matrix<float> ends = ctx.template take<float>(ids.rows(), decoder.width());
    decoder.read(ctx, ends);
    const auto scores = decoder.item_scores(ctx, ends);
    rank_products(ctx, scores.queries, scores.keys, filter, ids, best, found);
  }
};

/// The best items by their scores as wholes, among `width` that a beam along the trie finds and all
/// that no training history has, which a decoder has not learned to spell.
///
///   list = the first k of sort(beam ∪ unseen, by (-score(item), id))
///
/// With a beam as wide as the catalogue the lists are those of DenseScores, to the bit.
///
/// Cost    that of TrieBeam, and one product [rows, items]
/// Source  LIGER: 20 candidates, cold items added
struct HybridBeam {
  using In = flow::DigitAndItemScores;
  using Config = TrieBeam::Config;
  static constexpr bool decodes = true;

  using State = Trie;
  template <class Ctx, class Decoder>
  static Trie prepare(Ctx&, const Config&, const Decoder& decoder) {
    return Trie(decoder.items);
  }
  template <class Ctx, class Decoder>
  static void rank(Ctx& ctx, const Config& c, const Trie& trie, const Decoder& decoder,
                   const ItemFilter& filter, Matrix<ItemId> ids, Matrix<float> best,
                   Vector<Index> found) {
    const Index rows = ids.rows(), most = std::min(c.width, trie.items());
    Arena::Scope scope(ctx.arena);
    const KeepsEnds<Decoder> keeps{decoder, ctx.template take<float>(rows, decoder.width())};
    const auto spelt = ctx.template take<ItemId>(rows, most);
    const auto log_p = ctx.template take<float>(rows, most);
    const auto counts = ctx.template take<Index>(rows);
    ItemFilter listed = filter;  // zeroed items have their score already, and take no place
    listed.seen = filter.seen == Seen::zero ? Seen::remove : filter.seen;
    TrieBeam::rank(ctx, c, trie, keeps, listed, spelt, log_p, counts);

    const std::span<const ItemId> unseen = decoder.items.unseen;
    const auto rules = ctx.template take<RowRule>(rows);
    Index all = 0;
    for (Index row = 0; row < rows; ++row) {
      const auto memory = ctx.template take<ItemId>(rule_memory(filter, row));
      rules[row] = rule_of(filter, row, trie.items(), memory.span());
      all += counts[row] + static_cast<Index>(unseen.size() + rules[row].zeroed.size());
    }
    const auto values = ctx.template take<ItemId>(all);
    const auto offsets = ctx.template take<Index>(rows + 1);
    ItemId* next = values.begin();
    for (Index row = 0; row < rows; ++row) {
      offsets[row] = next - values.begin();
      next = std::copy_n(spelt.row(row).begin(), counts[row], next);
      next = std::copy_if(unseen.begin(), unseen.end(), next,
                          [&](ItemId item) { return rules[row].lists(item); });
      next = std::copy(rules[row].zeroed.begin(), rules[row].zeroed.end(), next);
    }
    offsets[rows] = next - values.begin();
    ItemFilter chosen = filter;
    chosen.allow = {std::span<const ItemId>(values.span()), Offsets(offsets.span())};
    const auto scores = decoder.item_scores(ctx, keeps.ends);
    rank_products(ctx, scores.queries, scores.keys, chosen, ids, best, found);
  }

private:
  template <class Decoder>
  struct KeepsEnds : Decoder {
    Matrix<float> ends;

    template <class Ctx>
    auto begin(Ctx& ctx) const {
      return Decoder::begin(ctx, ends);
    }
  };
};

}  // namespace simgr::SIMGR_ABI::ranker
