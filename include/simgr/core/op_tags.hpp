// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include <simgr/core/ragged.hpp>

// What layers tell the ops of a backend, beyond matrices.

namespace simgr::SIMGR_ABI {

/// Which positions of its own sequence a query may see.
struct Causal {};         // itself and those before it
struct Bidirectional {};  // all
struct Isolated {};       // itself alone

/// Which function stands between two linear maps. A backend offers activate(ctx, f, x, y) and
/// activate_backward(ctx, f, x, dy, dx) for each.
struct Relu {};      // max(x, 0)
struct GeluErf {};   // x Φ(x)
struct GeluTanh {};  // x / 2 (1 + tanh(√(2/π) (x + 0.044715 x³))): GPT-2's form
struct Silu {};      // x σ(x)
struct Sigmoid {};   // σ(x) = 1 / (1 + e^-x)
struct Tanh {};      // tanh(x)
struct Softplus {};  // ln(1 + e^x)

/// Where the reset gate r of a recurrent unit stands, x being what it reads, h its state, z the update
/// gate:
struct ResetAfter {};   // n = tanh(x W' + r * (h U'));   h ← n + z * (h - n): libraries
struct ResetBefore {};  // n = tanh(x W' + (r * h) U');   h ← h + z * (n - h): GRU4Rec's own code

/// Some columns of a matrix, from `begin` on: q, k and v of one product stand side by side.
template <class T, class S = Host>
struct Columns {
  Matrix<T, S> matrix;  // [tokens, at least begin + what is read]
  Index begin = 0;
};

/// Shape of multi-head attention. With fewer kv_heads than heads each key head serves
/// heads / kv_heads query heads; kv(h) is the one of query head h.
struct HeadShape {
  Index heads = 1, kv_heads = 1, width = 0;  // width of one head
  bool scaled = true;                        // products of queries and keys by 1 / sqrt(width)
  Index tokens_per_position = 1;             // consecutive tokens at no distance from each other

  Index kv(Index head) const noexcept { return head * kv_heads / heads; }
};

/// Numbers in the probability blocks of packed sequences of queries and of keys:
/// Σ heads · queries · keys.
inline Index probability_count(Offsets queries, Offsets keys, Index heads) noexcept {
  Index count = 0;
  for (std::size_t s = 0; s + 1 < queries.size(); ++s) {
    count += heads * (queries[s + 1] - queries[s]) * (keys[s + 1] - keys[s]);
  }
  return count;
}
/// The same within each sequence, behind a shared beginning where there is one.
inline Index probability_count(const Packing& packing, Index heads) noexcept {
  Index count = 0;
  for (std::size_t s = 0; s < packing.sequences(); ++s) {
    count += packing.length(s) * (packing.before(s) + packing.length(s));
  }
  return count * heads;
}

/// The rows of the longest sequence.
inline Index longest_sequence(Offsets offsets) noexcept {
  Index longest = 0;
  for (std::size_t s = 0; s + 1 < offsets.size(); ++s) {
    longest = std::max(longest, offsets[s + 1] - offsets[s]);
  }
  return longest;
}

}  // namespace simgr::SIMGR_ABI
