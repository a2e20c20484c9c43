// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/pooler/positions.hpp>

namespace simgr::SIMGR_ABI {

/// The states of an encoder's learned queries as they are, those of a history side by side: what is
/// compared with the vectors of an item. Trains one target for each prefix.
///
/// Shapes      states [rows · queries, width] -> [rows, queries · width]
struct EveryQuery {
  using In = flow::TokenStates;
  using Out = flow::SetStates;
  using Config = NoFields;
  static constexpr Examples examples = Examples::every_prefix;

  template <class T, class S = Host>
  struct Params {};
  template <class T, class S = Host>
  struct Cache {};
  template <class F, class... P>
  static void for_each_parameter(const PoolerShape&, F&&, P&...) {}

  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const PoolerShape& shape, const Params<T, S>&, Matrix<T, S> states,
                              Offsets, Cache<T, S>&, Ctx&) {
    const Index queries = shape.tokens_per_item;
    return {states.data(), {states.rows() / queries, queries * shape.width}};
  }
  template <class T, class S, class Ctx>
  static Matrix<T, S> backward(const PoolerShape& shape, const Params<T, S>&, const Params<T, S>&,
                               Matrix<T, S> dy, Offsets, const Cache<T, S>&, Ctx&) {
    return {dy.data(), {dy.size() / shape.width, shape.width}};
  }
};

}  // namespace simgr::SIMGR_ABI
