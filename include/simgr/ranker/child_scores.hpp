// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <span>
#include <string_view>

#include <simgr/core/arena.hpp>
#include <simgr/core/digit_products.hpp>
#include <simgr/core/view.hpp>
#include <simgr/tokenizer/trie.hpp>

// What rankers of token models read: a decoder, which is the model and a batch of histories bound
// together. It is any type with
//
//   rows()                               histories
//   support()                            DigitSupport of the loss it was trained with
//   begin(ctx)                           -> queries [rows, width], which predict the first digit
//   step(ctx, depth, parents, rows)      -> queries [nodes, width], which predict digit `depth`
//                                        (from 0), for nodes of depth 1, 2, …: parents[n] is the
//                                        place of n's parent among the nodes of the step before
//                                        (of depth 1: the history), rows[n] the row of the digit
//                                        table that was chosen last. Parents ascend, and a step
//                                        forgets all nodes of its depth and deeper
//   scores(ctx, queries, first, out)     out [queries, count]: logits against the rows
//                                        first … first + count - 1 of the digit table
//
// Queries stay valid while the arena's scope does in which they were made.

namespace simgr::SIMGR_ABI::ranker {

/// What the probabilities of the digits of one place sum to one over. Masking by the trie comes
/// before the softmax for `children`, and after it for the others: probability that falls on what
/// is no item is then lost.
enum class Support {
  trained,  // as in the loss: the model's `candidates.support`
  level,    // the codes of the digit
  whole,    // the codes of all digits
  children  // of the prefix, in the trie
};

constexpr std::array<std::string_view, 4> names_of(Support) noexcept {
  return {"trained", "level", "whole", "children"};
}

/// The rows of the digit table that compete for digit `depth`; those of the level for `children`.
template <class Decoder>
Trie::Range competing_rows(const Decoder& decoder, const Trie& trie, Support support,
                           Index depth) noexcept {
  const bool whole = support == Support::whole ||
                     (support == Support::trained && decoder.support() == DigitSupport::whole);
  return whole ? Trie::Range{0, trie.table_rows()}
               : Trie::Range{trie.first_row(depth), trie.first_row(depth + 1)};
}

/// Calls visit(n, child, log p) for every child of every node, in order:
///
///   log p = s_child - log Σ_c e^{s_c},   c over the support
///
/// Shapes  nodes [n] of one depth, queries [n, width]
/// Cost    the scores of the support; a tile of them in scratch, whatever n is
template <class Ctx, class Decoder, class Visit>
void visit_children(Ctx& ctx, Decoder& decoder, const Trie& trie, Support support, Index depth,
                    std::span<const std::int32_t> nodes, Matrix<const float> queries,
                    Visit&& visit) {
  constexpr Index tile = Index{1} << 17;  // scores: half a megabyte
  const Trie::Range competing = competing_rows(decoder, trie, support, depth);
  const Index first = competing.begin, count = competing.size();
  const Index at_a_time = std::max<Index>(1, tile / count);
  for (Index begin = 0; begin < queries.rows(); begin += at_a_time) {
    Arena::Scope scope(ctx.arena);
    const Index rows = std::min(at_a_time, queries.rows() - begin);
    const Matrix<float> scores = ctx.template take<float>(rows, count);
    decoder.scores(ctx, queries.slice(begin, rows), first, scores);
    for (Index r = 0; r < rows; ++r) {
      const Trie::Range range = trie.children(depth, nodes[static_cast<std::size_t>(begin + r)]);
      const auto score = [&](Index child) { return scores(r, trie.row(depth + 1, child) - first); };
      double all = 0;
      if (support == Support::children) {
        Arena::Scope of_row(ctx.arena);
        const Vector<float> own = ctx.template take<float>(range.size());
        for (Index i = 0; i < range.size(); ++i) { own[i] = score(range.begin + i); }
        all = log_sum_exp(ctx, own);
      } else {
        all = log_sum_exp(ctx, scores.row(r));
      }
      for (Index child = range.begin; child < range.end; ++child) {
        visit(begin + r, child, static_cast<float>(static_cast<double>(score(child)) - all));
      }
    }
  }
}

}  // namespace simgr::SIMGR_ABI::ranker
