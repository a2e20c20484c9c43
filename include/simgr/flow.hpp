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
struct UserStates {};   // [rows, width]
struct DigitStates {};  // [rows, digits, width]
struct ItemScores {};   // [rows, items]
struct TokenScores {};  // [rows, vocabulary]
struct DigitScores {};  // [rows, digits, codebook]

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

/// token states → user states (or digit states).
template <class S>
concept Pooler = Stage<S> && std::same_as<typename S::In, flow::TokenStates>;

/// states → scores against Candidates.
template <class S>
concept Similarity = Stage<S> && requires {
  typename S::Candidates;
};

/// scores and targets → a number and the gradient of the scores.
template <class S>
concept Loss = Stage<S> && std::floating_point<typename S::Out>;

/// scores → lists.
template <class S>
concept Ranker = requires {
  typename S::In;
};

/// One user's training sequence i_1 … i_n as examples:
///
///   every_position  one sequence; position t predicts i_{t+1}
///   every_prefix    n - 1 sequences; each predicts the item after it, once
enum class Examples { every_position, every_prefix };

/// What a pooler is told. An item is `tokens_per_item` tokens, and the last has seen all of it.
struct PoolerShape {
  Index width = 0;
  Index tokens_per_item = 1;
};

/// Whether the second stage reads what the first one writes.
template <class From, class To>
concept Feeds = std::same_as<typename From::Out, typename To::In>;

}  // namespace simgr::SIMGR_ABI
