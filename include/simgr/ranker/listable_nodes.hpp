// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <span>

#include <simgr/core/arena.hpp>
#include <simgr/ranker/seen_items.hpp>
#include <simgr/tokenizer/trie.hpp>

namespace simgr::SIMGR_ABI::ranker {

/// The nodes of a trie below which a row may list an item.
///
/// Holds the exceptions of each depth: the nodes that lead to nothing, or, where the rule names the
/// only items, the nodes that lead to one.
///
/// Memory  from the context's arena: (digits + 1) numbers for each item that the rule names
class ListableNodes {
public:
  /// Borrows the rule.
  template <class Ctx>
  ListableNodes(Ctx& ctx, const Trie& trie, const RowRule& rule)
      : rule_(&rule), digits_(trie.digits()) {
    const std::span<const ItemId> named = rule.restricted ? rule.only : rule.skip;
    nodes_ = ctx.template take<std::int32_t>(digits_ + 1, static_cast<Index>(named.size()));
    counts_ = ctx.template take<Index>(digits_ + 1);
    std::int32_t* leaves = level(digits_);
    Index count = 0;
    for (const ItemId item : named) {
      if (!rule.restricted || !rule.skips(item)) {
        leaves[count++] = static_cast<std::int32_t>(trie.leaf(item));
      }
    }
    std::sort(leaves, leaves + count);
    counts_[digits_] = keep(trie, digits_, leaves, count, leaves);
    for (Index depth = digits_; depth > 0; --depth) {
      // In place of children their parents, which ascend as they do.
      std::int32_t* parents = level(depth - 1);
      for (Index i = 0; i < counts_[depth]; ++i) {
        parents[i] = static_cast<std::int32_t>(trie.parent(depth, level(depth)[i]));
      }
      counts_[depth - 1] = keep(trie, depth - 1, parents, counts_[depth], parents);
    }
  }

  bool holds(Index depth, Index node) const noexcept {
    const std::int32_t* nodes = level(depth);
    return std::binary_search(nodes, nodes + counts_[depth], static_cast<std::int32_t>(node)) ==
           rule_->restricted;
  }

private:
  std::int32_t* level(Index depth) const noexcept { return nodes_.data() + depth * nodes_.cols(); }
  /// Of ascending nodes, each named once for every child that leads somewhere: those that do. Or
  /// each named once for every child that does not: those that have no other child.
  Index keep(const Trie& trie, Index depth, const std::int32_t* nodes, Index count,
             std::int32_t* kept) const noexcept {
    Index next = 0;
    for (Index i = 0; i < count;) {
      const std::int32_t node = nodes[i];
      const Index begin = i;
      while (i < count && nodes[i] == node) { ++i; }
      if (rule_->restricted || i - begin == trie.children(depth, node).size()) {
        kept[next++] = node;
      }
    }
    return next;
  }

  const RowRule* rule_;
  Index digits_;
  Matrix<std::int32_t> nodes_;
  Vector<Index> counts_;
};

}  // namespace simgr::SIMGR_ABI::ranker
