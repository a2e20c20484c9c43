// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include <simgr/ranker/exact_token_scores.hpp>
#include <simgr/recommender.hpp>

// How an autoregressive Recommender scores and lists: a part of the histories at a time, those that
// are not empty, so that what decoding keeps of them is bounded and stays in the cache.
// Declarations stand in recommender.hpp, which includes this file at its end.

namespace simgr::SIMGR_ABI {

namespace detail {

constexpr Index decoded_together =
    4;  // histories: their states stay in the cache; 32 take a twentieth longer

/// From results of the histories that are not empty, one after another, to a place for each:
/// move(from, to) in an order that overwrites nothing, nothing(at) for an empty one.
template <class Move, class Nothing>
void spread(RaggedView<ItemId> histories, Index first, Index count, Index results, Move&& move,
            Nothing&& nothing) {
  for (Index s = first + count - 1; s >= first; --s) {
    if (histories[s].empty()) {
      nothing(s);
    } else if (const Index from = first + --results; from != s) {
      move(from, s);
    }
  }
}

}  // namespace detail

template <Encoder E, Pooler P, Similarity S, Loss L, Ranker R, class Tasks>
auto Recommender<E, P, S, L, R, Tasks>::decoder(
    RaggedView<ItemId> histories, typename detail::DecodingState<Parts>::Type& state) const {
  return TokenDecoder<Parts, float>{config_, params_, rows_, keys_, items_view(), histories, state};
}

template <Encoder E, Pooler P, Similarity S, Loss L, Ranker R, class Tasks>
template <class Visit>
void Recommender<E, P, S, L, R, Tasks>::visit_prefixes(
    RaggedView<ItemId> histories, Visit&& visit) const requires autoregressive {
  require_known(histories);
  const auto scratch = scratch_->take();
  for (Index first = 0; first < histories.sequences(); first += detail::decoded_together) {
    const Index count = std::min(detail::decoded_together, histories.sequences() - first);
    read_ends(histories, first, count, *scratch);
    Arena::Scope scope(scratch->arena);
    cpu::Context ctx{scratch->arena};
    ctx.packed = &packed_;
    const auto rows = ctx.take<Index>(count);  // of the histories that are not empty
    Index next = 0;
    for (Index s = first; s < first + count; ++s) {
      if (!histories[s].empty()) {
        rows[next++] = s;
      }
    }
    if (next > 0) {
      const auto decoding = decoder({scratch->values, scratch->offsets}, scratch->decoding);
      ranker::ExactTokenScores::Config exact;
      if constexpr (requires { config_.ranker.support; }) {
        exact.support = config_.ranker.support;
      }
      ranker::ExactTokenScores::visit_prefixes(
          ctx, exact, ranker_, decoding, [&](Index row, Index depth, Index node, float score) {
            visit(rows[row], depth, node, score);
          });
    }
  }
}

template <Encoder E, Pooler P, Similarity S, Loss L, Ranker R, class Tasks>
void Recommender<E, P, S, L, R, Tasks>::rank_by_decoding(const ranker::ItemFilter& filter,
                                                         Matrix<ItemId> ids, Matrix<float> scores,
                                                         Vector<Index> found, cpu::Context& ctx,
                                                         Scratch& scratch) const {
  const RaggedView<ItemId> histories = filter.histories;
  ctx.packed = &packed_;
  for (Index first = 0; first < ids.rows(); first += detail::decoded_together) {
    const Index count = std::min(detail::decoded_together, ids.rows() - first);
    read_ends(histories, first, count, scratch);
    const RaggedView<ItemId> read{scratch.values, scratch.offsets};
    const Index results = read.sequences();
    if (results > 0) {
      Arena::Scope scope(ctx.arena);
      const auto offsets = ctx.take<Index>(results + 1);  // of whole histories
      Index next = 0;
      offsets[0] = histories.offsets[static_cast<std::size_t>(first)];
      for (Index s = first; s < first + count; ++s) {
        if (!histories[s].empty()) {
          offsets[++next] = histories.offsets[static_cast<std::size_t>(s) + 1];
        }
      }
      ranker::ItemFilter of_part = filter;
      of_part.histories = {histories.values, Offsets(offsets.span())};
      const auto decoding = decoder(read, scratch.decoding);
      R::rank(ctx, config_.ranker, ranker_, decoding, of_part, ids.slice(first, results),
              scores.slice(first, results), found.slice(first, results));
    }
    detail::spread(
        histories, first, count, results,
        [&](Index from, Index to) {
          copy(ctx, ids.row(from), ids.row(to), Write::assign);
          copy(ctx, scores.row(from), scores.row(to), Write::assign);
          found[to] = found[from];
        },
        [&](Index at) { found[at] = 0; });
  }
}

}  // namespace simgr::SIMGR_ABI
