// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include <simgr/core/arena.hpp>
#include <simgr/core/matmul.hpp>
#include <simgr/core/view.hpp>

namespace simgr::SIMGR_ABI::cpu {

class PackedMatrices;

/// What a step needs besides parameters and data: scratch memory, and the key of its randomness.
///
/// Passing a cpu::Context makes every op of a layer resolve, by argument-dependent lookup, to this
/// backend. One context belongs to one thread at a time.
struct Context {
  using Space = Host;

  Arena& arena;
  bool training = false;     // dropout acts, caches are filled
  std::uint64_t seed = 0;    // seed, step and a stream number are the key of every random mask
  std::uint64_t step = 0;    // of training: masks of two steps differ
  std::uint32_t stream = 0;  // the next free stream; layers take one each by next_stream()
  const PackedMatrices* packed = nullptr;  // copies of weights that products may read instead
  MatMul matmul = MatMul::fp32;            // of large products

  /// Uninitialised memory of the arena: a view, a matrix [rows, cols], a vector [count].
  template <class T, std::size_t Rank>
  View<T, Rank> take(const Shape<Rank>& shape) {
    return arena.take<T>(shape);
  }
  template <class T>
  Matrix<T> take(Index rows, Index cols) {
    return arena.take<T>(Shape<2>{rows, cols});
  }
  template <class T>
  Vector<T> take(Index count) {
    return arena.take<T>(Shape<1>{count});
  }
  std::uint32_t next_stream() noexcept { return stream++; }
};

}  // namespace simgr::SIMGR_ABI::cpu
