// SPDX-License-Identifier: Apache-2.0
#include <simgr/cpu/tree_attention.hpp>

#include <vector>

#include <doctest/doctest.h>

#include <simgr/core/rng.hpp>

using namespace simgr;

namespace {

std::vector<double> normal_values(Index count, std::uint64_t seed) {
  Rng rng(seed, 4);
  std::vector<double> values(static_cast<std::size_t>(count));
  for (double& value : values) { value = rng.normal(); }
  return values;
}

}  // namespace

TEST_CASE_TEMPLATE("Nodes attend to their history and their path, as naive loops do", T, float,
                   double) {
  for (const HeadShape shape : {HeadShape{3, 3, 5}, HeadShape{4, 2, 3}}) {
    Arena arena;
    cpu::Context ctx{arena};
    Rng rng(8, 1);
    const std::vector<Index> history{0, 7, 8, 30};
    TokenTree<> tree;
    tree.begin(history);
    const Index kv_width = shape.kv_heads * shape.width, width = shape.heads * shape.width;
    const auto cast = [&](const std::vector<double>& values, Index rows, Index cols) {
      const Matrix<T> view = ctx.take<T>(rows, cols);
      for (Index i = 0; i < view.size(); ++i) {
        view.data()[i] = static_cast<T>(values[static_cast<std::size_t>(i)]);
      }
      return view;
    };
    // Keys and values begin in the middle of wider matrices.
    const Matrix<T> of_history =
        cast(normal_values(30 * (2 * kv_width + 2), 3), 30, 2 * kv_width + 2);
    std::vector<Matrix<T>> kept;
    std::vector<std::int32_t> parents;
    for (Index level = 1; level <= 3; ++level) {
      const Index before = level == 1 ? 3 : static_cast<Index>(parents.size());
      std::vector<std::int32_t> next;
      for (Index n = 0; n < before; ++n) {
        const Index children = level == 1 && n == 1 ? 0 : 1 + rng.below(level == 3 ? 80 : 4);
        next.insert(next.end(), static_cast<std::size_t>(children), static_cast<std::int32_t>(n));
      }
      parents = next;
      const auto nodes = static_cast<Index>(parents.size());
      REQUIRE(nodes > 0);
      tree.grow(level, parents, ctx);
      kept.push_back(
          cast(normal_values(nodes * 2 * kv_width, 10 + static_cast<std::uint64_t>(level)), nodes,
               2 * kv_width));
      const Matrix<T> q = cast(normal_values(nodes * width, 20), nodes, width);
      const Matrix<T> y = ctx.take<T>(nodes, width);
      cpu::attention_of_nodes(ctx, q, Columns<const T>{of_history, 1},
                              Columns<const T>{of_history, 2 + kv_width},
                              std::span<const Matrix<T>>(kept), tree, shape, y);
      for (Index s = 0; s < 3; ++s) {
        for (Index n = tree.levels.back().nodes[static_cast<std::size_t>(s)];
             n < tree.levels.back().nodes[static_cast<std::size_t>(s) + 1]; ++n) {
          for (Index h = 0; h < shape.heads; ++h) {
            std::vector<const T*> keys, values;
            const Index at = shape.kv(h) * shape.width;
            for (Index t = history[static_cast<std::size_t>(s)];
                 t < history[static_cast<std::size_t>(s) + 1]; ++t) {
              keys.push_back(of_history.row(t).data() + 1 + at);
              values.push_back(of_history.row(t).data() + 2 + kv_width + at);
            }
            for (Index l = 0; l < level; ++l) {
              const T* row =
                  kept[static_cast<std::size_t>(l)].row(tree.levels.back().path(n, l)).data();
              keys.push_back(row + at);
              values.push_back(row + kv_width + at);
            }
            std::vector<double> weights;
            double all = 0;
            for (const T* key : keys) {
              double score = 0;
              for (Index j = 0; j < shape.width; ++j) {
                score +=
                    static_cast<double>(q(n, h * shape.width + j)) * static_cast<double>(key[j]);
              }
              weights.push_back(std::exp(score / std::sqrt(static_cast<double>(shape.width))));
              all += weights.back();
            }
            for (Index j = 0; j < shape.width; ++j) {
              double expected = 0;
              for (std::size_t i = 0; i < values.size(); ++i) {
                expected += weights[i] / all * static_cast<double>(values[i][j]);
              }
              REQUIRE(static_cast<double>(y(n, h * shape.width + j)) ==
                      doctest::Approx(expected).epsilon(sizeof(T) == 4 ? 1e-5 : 1e-13));
            }
          }
        }
      }
    }
    CHECK(parents.size() > 64);  // more than one block of nodes
  }
}
