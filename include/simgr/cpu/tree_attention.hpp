// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <span>

#include <simgr/core/op_tags.hpp>
#include <simgr/core/token_tree.hpp>
#include <simgr/cpu/attention.hpp>

namespace simgr::SIMGR_ABI::cpu {

/// The nodes of the last level of a token tree attend to their history and to their own path.
///
///   y = softmax([q k' | q · k(a) for each ancestor a, itself included]) [v ; v(a)],
///
/// scaled, with terms of distances and by head as in attention(): what the last position of history
/// and path gets there.
///
/// Shapes  q, y [nodes, heads · width];  k, v [history tokens, kv_heads · width]
///         kept, for each level: [nodes of it, 2 · kv_heads · width], keys and then values
///         relative [heads, 2 longest - 1], or empty
/// Cost    two products [nodes, history] for each history and head, in blocks of nodes
template <class T>
void attention_of_nodes(Context& ctx, MatrixArg<T> q, Columns<const T> k, Columns<const T> v,
                        std::span<const Matrix<T>> kept, const TokenTree<>& tree, HeadShape shape,
                        Matrix<T> y, MatrixArg<T> relative = {}) noexcept {
  constexpr Index block = 64;  // nodes: their scores stay in the first-level cache
  const T temperature = detail::temperature<T>(shape);
  const TokenTree<>::Level& level = tree.levels.back();
  const Index depth = level.path.cols(), width = shape.width, to_value = shape.kv_heads * width;
  SIMGR_ASSERT(static_cast<Index>(kept.size()) == depth && q.rows() == level.path.rows(),
               "attention_of_nodes: shapes");
  for (Index s = 0; s < tree.sequences(); ++s) {
    const auto place = static_cast<std::size_t>(s);
    const Index first = tree.history[place], length = tree.history[place + 1] - first;
    const Index end = level.nodes[place + 1];
    for (Index begin = level.nodes[place]; begin < end; begin += block) {
      Arena::Scope scope(ctx.arena);
      const Index count = std::min(block, end - begin);
      const Matrix<T> p = ctx.take<T>(count, length + depth);
      detail::Strided<T> of_history(p.data(), count, length, Eigen::OuterStride<>(p.cols()));
      for (Index h = 0; h < shape.heads; ++h) {
        const Index query = h * width, key = shape.kv(h) * width;
        of_history.noalias() = detail::panel(Columns<const T>{q}, begin, count, h, width) *
                               detail::panel(k, first, length, shape.kv(h), width).transpose();
        for (Index i = 0; i < count; ++i) {
          const EigenRow<const T> own(q.row(begin + i).data() + query, width);
          for (Index l = 0; l < depth; ++l) {
            const T* ancestor =
                kept[static_cast<std::size_t>(l)].row(level.path(begin + i, l)).data();
            p(i, length + l) = (own * EigenRow<const T>(ancestor + key, width)).sum();
          }
          EigenRow<T> row = as_row(p.row(i));
          row *= temperature;
          if (!relative.empty()) {
            const T* nearest = relative.row(h).data() + relative.cols() / 2;
            row += EigenRow<const T>(nearest - (row.size() - 1), row.size());
          }
          const T largest = row.maxCoeff();
          row = (row - largest).exp();
          row *= T(1) / row.sum();
        }
        detail::panel(Columns<T>{y}, begin, count, h, width).noalias() =
            of_history * detail::panel(v, first, length, shape.kv(h), width);
        for (Index i = 0; i < count; ++i) {
          EigenRow<T> out(y.row(begin + i).data() + query, width);
          for (Index l = 0; l < depth; ++l) {
            const T* ancestor =
                kept[static_cast<std::size_t>(l)].row(level.path(begin + i, l)).data();
            out += p(i, length + l) * EigenRow<const T>(ancestor + to_value + key, width);
          }
        }
      }
    }
  }
}

}  // namespace simgr::SIMGR_ABI::cpu
