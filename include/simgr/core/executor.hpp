// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>

#include <simgr/core/types.hpp>

namespace simgr::SIMGR_ABI {

/// Runs f(0) … f(count - 1), in any order and on any threads, and returns when all have ended.
///
/// The host supplies it; the library starts no thread of its own. Results depend on the number of
/// shards, never on the executor.
template <class E>
concept Executor = requires(E& executor, Index count, void (&f)(Index)) {
  executor.for_each(count, f);
};

/// One after another on the calling thread: the default everywhere.
struct Serial {
  template <class F>
  void for_each(Index count, F&& f) const {
    for (Index i = 0; i < count; ++i) { f(i); }
  }
};

/// The observer that listens to nothing: the default of every fit.
struct Silent {};

}  // namespace simgr::SIMGR_ABI
