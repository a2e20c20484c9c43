// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>

#include <simgr/core/types.hpp>

//  interactions ──► data ──► tokenizer ──► encoder ──► pooler ──► similarity ──┬─► loss ──► gradients ──► optimizer
//   (user, item, t)  │        item ids or      │          │            ▲       │
//                    │        semantic ids     │          │            │       └─► ranker ──► top-k ──► metrics
//                    └─ split: leave-one-out   │          │        candidates
//                                        [tokens, d]  [rows, d]   (tied table · own table ·
//                                                                  encoded items · vocabulary · codebooks)
//
// Each arrow between the four middle boxes is a tag type, so the compiler checks the picture.

namespace simgr::SIMGR_ABI {

namespace flow {

struct History {};      // packed item ids of a batch of users
struct TokenStates {};  // [tokens, width]
struct MaskStates {};   // [masks, width]: what stands behind hidden items
struct UserStates {};   // [rows, width]
struct DigitStates {};  // [rows, digits, width]
struct SetStates {};    // [rows, vectors · width]: a state for each vector of an item
struct ItemScores {};   // [rows, items]
struct DigitScores {};  // [rows, Σ codes]: each digit against its own codes

// Of models that spell items and compare them as wholes, too: one thing after, or beside, the other.
struct TokenAndEndStates {};   // [tokens + rows, width]
struct DigitAndUserStates {};  // [rows · digits + rows, width]
struct DigitAndItemScores {};

}  // namespace flow

/// A stage of a recommender: what it reads, what it writes, and its numbers.
template <class S>
concept Stage = requires {
  typename S::In;
  typename S::Out;
  typename S::Config;
};

/// history → token states.
template <class S>
concept Encoder = Stage<S> && std::same_as<typename S::In, flow::History>;

/// token states → user states, digit states, or both.
template <class S>
concept Pooler = Stage<S> &&(std::same_as<typename S::In, flow::TokenStates> ||
                             std::same_as<typename S::In, flow::MaskStates> ||
                             std::same_as<typename S::In, flow::TokenAndEndStates>);

/// states → scores against Candidates.
template <class S>
concept Similarity = Stage<S> && requires {
  typename S::Candidates;
};

/// scores and targets → a number and the gradient of the scores.
template <class S>
concept Loss = Stage<S> && std::floating_point<typename S::Out>;

/// scores → lists. A type with In, Config (with for_each_field) and
///
///   rank(ctx, scores, filter, ids, best, found)
///
/// or, where lists are made with something that follows from the weights, with a State besides:
///
///   prepare(ctx, config, scores)                 -> State; `scores` has no rows
///   rank(ctx, config, state, scores, filter, ids, best, found)
template <class S>
concept Ranker = requires {
  typename S::In;
  typename S::Config;
};

namespace detail {
template <class R>
struct RankerState {
  struct Type {};
};
template <class R>
  requires requires {
    typename R::State;
  }
struct RankerState<R> {
  using Type = typename R::State;
};
}  // namespace detail
/// What a ranker keeps between lists, or nothing.
template <class R>
using StateOf = typename detail::RankerState<R>::Type;

/// One user's training sequence i_1 … i_n as examples:
///
///   every_position  one sequence; position t predicts i_{t+1}
///   every_prefix    n - 1 sequences; each predicts the item after it, once
///   hidden_items    the same n - 1 with the item after them, some of whose items are hidden behind a
///                   mask (core/hiding.hpp); the others predict those
enum class Examples { every_position, every_prefix, hidden_items };

/// What a pooler is told. An item is `tokens_per_item` tokens, and the last has seen all of it.
struct PoolerShape {
  Index width = 0;
  Index tokens_per_item = 1;
  Index digits = 0;  // of an item's semantic id; 0 without ids
};

/// Whether the second stage reads what the first one writes.
template <class From, class To>
concept Feeds = std::same_as<typename From::Out, typename To::In>;

}  // namespace simgr::SIMGR_ABI
