// SPDX-License-Identifier: Apache-2.0
#include <simgr/core/token_tree.hpp>

#include <vector>

#include <doctest/doctest.h>

#include <simgr/cpu/context.hpp>

TEST_CASE("A token tree knows the path of every node and the nodes of every history") {
  using Rows = std::vector<std::int32_t>;
  simgr::Arena arena;
  simgr::cpu::Context ctx{arena};
  const std::vector<simgr::Index> history{0, 4, 5, 9};
  simgr::TokenTree<> tree;
  tree.begin(history);
  const auto path = [&](simgr::Index level, simgr::Index node) {
    const auto row = tree.level(level).path.row(node);
    return Rows(row.begin(), row.end());
  };
  const auto nodes = [&](simgr::Index level) {
    const auto offsets = tree.level(level).nodes;
    return std::vector<simgr::Index>(offsets.begin(), offsets.end());
  };
  tree.grow(1, Rows{0, 0, 2, 2, 2}, ctx);
  CHECK(nodes(1) == std::vector<simgr::Index>{0, 2, 2, 5});
  tree.grow(2, Rows{1, 1, 3}, ctx);
  CHECK(nodes(2) == std::vector<simgr::Index>{0, 2, 2, 3});
  CHECK(path(2, 1) == Rows{1, 1});
  CHECK(path(2, 2) == Rows{3, 2});
  tree.grow(3, Rows{0, 2, 2}, ctx);
  CHECK(path(3, 0) == Rows{1, 0, 0});
  CHECK(path(3, 2) == Rows{3, 2, 2});
  tree.grow(2, Rows{4}, ctx);  // forgets level 3
  CHECK(tree.levels.size() == 2);
  CHECK(nodes(2) == std::vector<simgr::Index>{0, 0, 0, 1});
  tree.grow(3, Rows{}, ctx);
  CHECK(nodes(3) == std::vector<simgr::Index>{0, 0, 0, 0});
}
