// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <simgr/core/arena.hpp>
#include <simgr/core/digit_products.hpp>
#include <simgr/core/fields.hpp>
#include <simgr/core/owned_matrix.hpp>
#include <simgr/core/rng.hpp>
#include <simgr/flow.hpp>
#include <simgr/ranker/listed_item.hpp>
#include <simgr/ranker/seen_items.hpp>

namespace simgr::SIMGR_ABI::ranker {

/// RPG's search: a graph links every item to those with the most similar digits, and a beam walks
/// it from some starts towards items of high score.
///
///   once     sim(i, i') = 1/digits Σ_j (1 + cos(code j of i, code j of i')) / 2
///            neighbours(i) = the `neighbours` most similar items, ties by id: i itself among them
///                            unless as many others have its very digits
///   a user   S = starts;  `rounds` times:  C = S ∪ neighbours(S);  S = the `beam` best of C
///            list = the best of all items visited
///
/// Where it differs from the published program: starts are distinct and follow from `seed` alone,
/// so that a list depends on nothing but its history; S is kept in C; fewer than `beam` items are no
/// error; and the list holds the best of all that were visited, which is S where k <= beam.
///
/// Cost     prepare: items² · digits look-ups and memory of items · neighbours ids and, of digits of
///          up to 1,024 codes, codes²; others' similarities are worked out for each item anew;
///          rank: at most beam · neighbours · rounds · digits look-ups a user
/// Source   RPG (arXiv 2506.05781), section 2.4
struct GraphDecoding {
  using In = flow::DigitScores;
  struct Config {
    Index beam = 20, neighbours = 200, rounds = 3;
    Index seed = 1;

    template <class F, class C>
    static void for_each_field(C& c, F&& f) {
      f(Field{"beam", 1, 1 << 20, "items that a round keeps"}, c.beam);
      f(Field{"neighbours", 1, 1 << 20, "links of an item, itself included"}, c.neighbours);
      f(Field{"rounds", 1, 1 << 20, "steps along the links"}, c.rounds);
      f(Field{"seed", 0, 1 << 30, "of the items where every walk starts"}, c.seed);
    }
  };
  struct State {
    OwnedMatrix<ItemId> neighbours;  // [items, neighbours], most similar first
    std::vector<ItemId> starts;      // [beam], distinct
  };

  template <class Ctx>
  static State prepare(Ctx& ctx, const Config& c, const DigitProducts<float>& scores) {
    return {link(ctx, c, scores), draw_starts(c, scores.candidates())};
  }

  template <class Ctx>
  static void rank(Ctx& ctx, const Config& c, const State& state,
                   const DigitProducts<float>& scores, const ItemFilter& filter, Matrix<ItemId> ids,
                   Matrix<float> best, Vector<Index> found) {
    for (Index row = 0; row < scores.rows(); ++row) {
      Arena::Scope scope(ctx.arena);
      const auto memory = ctx.template take<ItemId>(rule_memory(filter, row));
      const RowRule rule = rule_of(filter, row, scores.candidates(), memory.span());
      const Matrix<float> logs = ctx.template take<float>(1, scores.keys.rows());
      scores.log_probabilities(ctx, row, 1, logs);
      const std::span<ListedItem> all = walk(
          ctx, c, state, scores.candidates(),
          [&](ItemId item) { return scores.item_score(logs.row(0), item); },
          [](std::span<const ListedItem>) {});
      auto end = std::remove_if(all.begin(), all.end(),
                                [&](const ListedItem& met) { return !rule.lists(met.item); });
      const auto listed = ctx.template take<ListedItem>((end - all.begin()) +
                                                        static_cast<Index>(rule.zeroed.size()));
      ListedItem* last = std::copy(all.begin(), end, listed.begin());
      for (const ItemId id : rule.zeroed) { *last++ = {id, 0.0f}; }
      found[row] = std::min(ids.cols(), listed.size());
      std::partial_sort(listed.begin(), listed.begin() + found[row], last, listed_before);
      for (Index place = 0; place < found[row]; ++place) {
        ids(row, place) = listed[place].item;
        best(row, place) = listed[place].score;
      }
    }
  }

  /// One walk -> all items that were met, those that the last round keeps first. score(item) is
  /// asked once for each, and after_round(S) is told what each round keeps, best first.
  template <class Ctx, class Score, class Round>
  static std::span<ListedItem> walk(Ctx& ctx, const Config& c, const State& state, Index items,
                                    Score&& score, Round&& after_round) {
    const auto flags = ctx.template take<std::uint8_t>(items);
    std::fill(flags.begin(), flags.end(), std::uint8_t{0});
    const auto met = ctx.template take<ListedItem>(items);
    Index count = 0;
    const auto meet = [&](ItemId item) {
      if (flags[item] == 0) {
        flags[item] = 1;
        met[count++] = {item, score(item)};
      }
    };
    for (const ItemId item : state.starts) { meet(item); }
    Index kept = count;
    const auto from = ctx.template take<ItemId>(std::max(c.beam, kept));
    for (Index round = 0; round < c.rounds; ++round) {
      for (Index i = 0; i < kept; ++i) { from[i] = met[i].item; }
      for (Index i = 0; i < kept; ++i) {
        for (const ItemId near : state.neighbours.view().row(from[i])) { meet(near); }
      }
      kept = std::min(c.beam, count);
      // S is kept in C, so the best of C are the best of all that were met.
      std::partial_sort(met.begin(), met.begin() + kept, met.begin() + count, listed_before);
      after_round(std::span<const ListedItem>(met.begin(), static_cast<std::size_t>(kept)));
    }
    return {met.begin(), static_cast<std::size_t>(count)};
  }

private:
  static std::vector<ItemId> draw_starts(const Config& c, Index items) {
    std::vector<ItemId> all(static_cast<std::size_t>(items));
    for (Index i = 0; i < items; ++i) { all[static_cast<std::size_t>(i)] = static_cast<ItemId>(i); }
    Rng rng(static_cast<std::uint64_t>(c.seed), 0x67726170680aull);
    const Index count = std::min(c.beam, items);
    for (Index i = 0; i < count; ++i) {
      std::swap(all[static_cast<std::size_t>(i)],
                all[static_cast<std::size_t>(i + rng.below(items - i))]);
    }
    all.resize(static_cast<std::size_t>(count));
    return all;
  }

  template <class Ctx>
  static OwnedMatrix<ItemId> link(Ctx& ctx, const Config& c, const DigitProducts<float>& scores) {
    const Index items = scores.candidates(), k = std::min(c.neighbours, items);
    OwnedMatrix<ItemId> links(items, k);
    Arena::Scope scope(ctx.arena);
    const Matrix<float> unit = ctx.template take<float>(scores.keys.rows(), scores.keys.cols());
    normalise_rows(ctx, scores.keys, 1.0f, unit, ctx.template take<float>(unit.rows()));
    const auto codes_of = [&](Index digit) {  // as rows of the keys
      const auto j = static_cast<std::size_t>(digit);
      return std::pair(scores.items.digit_starts[j], scores.items.digit_starts[j + 1]);
    };
    // (1 + cos) / 2 of some codes of a digit with all of it
    const auto compare = [&](const Matrix<float>& some, Index digit, const Matrix<float>& out) {
      const auto [first, end] = codes_of(digit);
      gemm_nt(ctx, some, unit.slice(first, end - first), out, Write::assign);
      for (float& value : out) { value = 0.5f * (1.0f + value); }
    };
    constexpr Index most_codes = 1024;  // of a digit that is compared once: 4 MiB
    std::vector<Matrix<float>> tables;  // [codes, codes] of every digit, or none
    for (Index j = 0; j < scores.digits(); ++j) {
      const auto [first, end] = codes_of(j);
      const Index codes = end - first <= most_codes ? end - first : 0;
      tables.push_back(ctx.template take<float>(codes, codes));
      if (codes > 0) {
        compare(unit.slice(first, codes), j, tables.back());
      }
    }
    const auto of_item = ctx.template take<float>(scores.keys.rows());
    const auto similar = ctx.template take<float>(items);
    const auto values = ctx.template take<float>(k);
    for (Index i = 0; i < items; ++i) {
      for (Index j = 0; j < scores.digits(); ++j) {
        const auto [first, end] = codes_of(j);
        const Matrix<float>& table = tables[static_cast<std::size_t>(j)];
        const Index own = scores.items.digit_rows(i, j);
        const Vector<float> out = of_item.slice(first, end - first);
        if (table.rows() > 0) {
          copy(ctx, table.row(own - first), out, Write::assign);
        } else {
          compare(unit.slice(own, 1), j, Matrix<float>(out.data(), {1, out.size()}));
        }
      }
      sum_of_looked_up(ctx, of_item, scores.items.digit_rows,
                       1.0f / static_cast<float>(scores.digits()), similar);
      top_k(ctx, similar, RowRule{}, links.view().row(i), values);
    }
    return links;
  }
};

}  // namespace simgr::SIMGR_ABI::ranker
