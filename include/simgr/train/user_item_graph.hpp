// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <simgr/core/arena.hpp>
#include <simgr/core/op_tags.hpp>
#include <simgr/core/parameter.hpp>
#include <simgr/core/sparse_rows.hpp>
#include <simgr/cpu/sparse_products.hpp>
#include <simgr/data/user_items.hpp>
#include <simgr/loss/pairwise.hpp>

// The mathematics of LightGCN: users and items are nodes, an edge is that a user took an item.

namespace simgr::SIMGR_ABI::train {

/// Edges, each weighted 1 / sqrt(|N_user| |N_item|).
struct UserItemGraph {
  SparseRows users;               // [users, items]
  SparseRows items;               // [items, users], the same
  std::vector<float> item_scale;  // [items]: 1 / sqrt(|N_item|), 1 where nobody took it
};

/// Ids are trusted: 0 to items - 1.
inline UserItemGraph user_item_graph(RaggedView<ItemId> histories, Index items) {
  UserItemGraph graph{data::items_of_users(histories, items), {}, {}};
  std::vector<Index> takers(static_cast<std::size_t>(items), 0);
  for (const std::int32_t item : graph.users.columns) { ++takers[static_cast<std::size_t>(item)]; }
  for (const Index count : takers) {
    graph.item_scale.push_back(
        static_cast<float>(1 / std::sqrt(static_cast<double>(std::max<Index>(count, 1)))));
  }
  for (Index user = 0; user < graph.users.rows(); ++user) {
    const auto columns = graph.users.columns_of(user);
    const auto values = graph.users.values_of(user);
    for (std::size_t e = 0; e < columns.size(); ++e) {
      const auto of_item = static_cast<double>(takers[static_cast<std::size_t>(columns[e])]);
      values[e] = static_cast<float>(1 / std::sqrt(static_cast<double>(columns.size()) * of_item));
    }
  }
  graph.items = transposed(graph.users);
  return graph;
}

/// Rows of all nodes: the trained tables, what propagation makes of them, or gradients of either.
///
/// Parameters  users [users, width], items [items, width]
struct NodeTables {
  struct Config {
    Index users = 0, items = 0, width = 64;
    double deviation = 0.1;  // of the first values
  };
  template <class T, class S = Host>
  struct Params {
    Matrix<T, S> users, items;
  };
  template <class F, class... P>
  static void for_each_parameter(const Config& c, F&& f, P&... p) {
    f(Spec<2>{"users", {c.users, c.width}, Init::normal(c.deviation)}, p.users...);
    f(Spec<2>{"items", {c.items, c.width}, Init::normal(c.deviation)}, p.items...);
  }
};
template <class T>
using Nodes = NodeTables::Params<T>;

/// Memory for rows of as many nodes, not initialised.
template <class T>
Nodes<T> nodes_like(const Nodes<T>& x, Arena& arena) {
  return {arena.take<T>(x.users.shape()), arena.take<T>(x.items.shape())};
}

/// y = or += mean over k = 0 … layers of A^k x, A the weighted edges, from the innermost bracket:
/// x + A (x + A (x + …)). A is symmetric: the gradient of x is propagate() of the gradient of y.
///
/// Cost    4 layers · edges · width products; memory of twice the nodes
/// Source  He et al. 2020, equations 3 and 8
template <class T, class E>
void propagate(E& executor, const UserItemGraph& graph, Index layers, Nodes<T> x, Nodes<T> y,
               Arena& arena, Write write = Write::assign) {
  Arena::Scope scope(arena);
  if (layers == 0) {
    const auto pass = [write](Matrix<T> from, Matrix<T> to) {
      std::transform(from.begin(), from.end(), to.begin(), to.begin(),
                     [write](T value, T old) { return write == Write::add ? old + value : value; });
    };
    pass(x.users, y.users);
    pass(x.items, y.items);
    return;
  }
  Nodes<T> now = x, next = nodes_like(x, arena), spare = nodes_like(x, arena);
  for (Index layer = 1; layer <= layers; ++layer) {
    const bool last = layer == layers;
    const Nodes<T> to = last ? y : next;
    const T factor = last ? T(1) / static_cast<T>(layers + 1) : T(1);
    const Write how = last ? write : Write::assign;
    cpu::multiply<T>(executor, graph.users, now.items, to.users, x.users, factor, how);
    cpu::multiply<T>(executor, graph.items, now.users, to.items, x.items, factor, how);
    now = to;
    std::swap(next, spare);
  }
}

/// That a user took one item and not another.
struct Preference {
  std::int32_t user = 0, taken = 0, other = 0;
};

/// mean over preferences of  −ln σ(y_u · (y_t − y_o)) + weight/2 (|x_u|² + |x_t|² + |x_o|²),
/// y = propagate(x); its gradient is added to `dx`.
///
/// Source  Rendle et al. 2009, section 4; which rows are regularised: He et al. 2020, section 3.4, as in
///         their code
template <class T, class E>
double graph_bpr(E& executor, const UserItemGraph& graph, Index layers, double weight, Nodes<T> x,
                 std::span<const Preference> preferences, Nodes<T> dx, Arena& arena) {
  Arena::Scope scope(arena);
  const Nodes<T> y = nodes_like(x, arena), dy = nodes_like(x, arena);
  propagate(executor, graph, layers, x, y, arena);
  std::fill(dy.users.begin(), dy.users.end(), T(0));
  std::fill(dy.items.begin(), dy.items.end(), T(0));
  const Index width = x.users.cols();
  const double share = 1 / static_cast<double>(preferences.size());
  const auto pull = static_cast<T>(weight * share);
  double sum = 0;
  for (const Preference& p : preferences) {
    const auto user = y.users.row(p.user), taken = y.items.row(p.taken),
               other = y.items.row(p.other);
    double margin = 0;
    for (Index k = 0; k < width; ++k) {
      margin += static_cast<double>(user[k]) * static_cast<double>(taken[k] - other[k]);
    }
    const simgr::detail::Softplus1 loss = simgr::detail::softplus(-margin);
    const auto slope = static_cast<T>(-loss.slope * share);
    double squares = 0;
    for (Index k = 0; k < width; ++k) {
      dy.users(p.user, k) += slope * (taken[k] - other[k]);
      dy.items(p.taken, k) += slope * user[k];
      dy.items(p.other, k) -= slope * user[k];
      const auto regularise = [&](T value, T& gradient) {
        squares += static_cast<double>(value) * static_cast<double>(value);
        gradient += pull * value;
      };
      regularise(x.users(p.user, k), dx.users(p.user, k));
      regularise(x.items(p.taken, k), dx.items(p.taken, k));
      regularise(x.items(p.other, k), dx.items(p.other, k));
    }
    sum += loss.value + weight / 2 * squares;
  }
  propagate(executor, graph, layers, dy, dx, arena, Write::add);
  return sum * share;
}

}  // namespace simgr::SIMGR_ABI::train
