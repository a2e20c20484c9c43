// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/core/ragged.hpp>
#include <simgr/core/view.hpp>
#include <simgr/pooler/positions.hpp>

namespace simgr::SIMGR_ABI {

/// What a pooler is that hands the states of its encoder on as they are; it adds what they mean: In,
/// Out, and how training examples are cut.
///
/// Shapes      states [rows, width], as they are
struct Unpooled {
  template <class T, class S = Host>
  struct Params {};
  template <class T, class S = Host>
  struct Cache {};
  template <class F, class... P>
  static void for_each_parameter(const PoolerShape&, F&&, P&...) {}

  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const PoolerShape&, const Params<T, S>&, Matrix<T, S> states, Offsets,
                              Cache<T, S>&, Ctx&) {
    return states;
  }
  template <class T, class S, class Ctx>
  static Matrix<T, S> backward(const PoolerShape&, const Params<T, S>&, const Params<T, S>&,
                               Matrix<T, S> dy, Offsets, const Cache<T, S>&, Ctx&) {
    return dy;
  }
};

}  // namespace simgr::SIMGR_ABI
