// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

#include <simgr/core/view.hpp>

namespace simgr::SIMGR_ABI {

/// The tokens that follow a batch of histories while they are decoded: a tree for each history,
/// level by level. What a layer keeps of a token (keys and values) it keeps once; a node finds those
/// of its ancestors by the indices here, so nothing is copied when prefixes branch.
///
/// Level 1 are the first tokens after the histories. Nodes of one history stand together, and
/// parents ascend. Growing a level forgets those below it.
template <class S = Host>
struct TokenTree {
  struct Level {
    Offsets nodes;                 // [sequences + 1]: where the nodes of each history begin
    Matrix<std::int32_t, S> path;  // [nodes, level]: the node's ancestor in level 1, 2, …, itself
  };
  Offsets history;            // [sequences + 1], in tokens
  std::vector<Level> levels;  // those that have grown

  Index sequences() const noexcept { return static_cast<Index>(history.size()) - 1; }
  const Level& level(Index number) const noexcept {
    return levels[static_cast<std::size_t>(number) - 1];
  }

  void begin(Offsets offsets) noexcept {
    history = offsets;
    levels.clear();
  }
  /// @param parents  [nodes], ascending: indices in the level before, or of histories for level 1
  template <class Ctx>
  void grow(Index number, std::span<const std::int32_t> parents, Ctx& ctx) {
    SIMGR_ASSERT(number >= 1 && number <= static_cast<Index>(levels.size()) + 1,
                 "a level grows from the one before it");
    const auto count = static_cast<Index>(parents.size());
    levels.resize(static_cast<std::size_t>(number) - 1);
    const auto path = ctx.template take<std::int32_t>(count, number);
    const auto nodes = ctx.template take<Index>(sequences() + 1);
    Index s = 0;
    nodes[0] = 0;
    for (Index n = 0; n < count; ++n) {
      const Index parent = parents[static_cast<std::size_t>(n)];
      if (number == 1) {
        while (s < parent) { nodes[++s] = n; }
      } else {
        const Level& before = level(number - 1);
        while (parent >= before.nodes[static_cast<std::size_t>(s) + 1]) { nodes[++s] = n; }
        for (Index l = 0; l + 1 < number; ++l) { path(n, l) = before.path(parent, l); }
      }
      path(n, number - 1) = static_cast<std::int32_t>(n);
    }
    while (s < sequences()) { nodes[++s] = count; }
    levels.push_back({Offsets(nodes.span()), path});
  }
};

}  // namespace simgr::SIMGR_ABI
