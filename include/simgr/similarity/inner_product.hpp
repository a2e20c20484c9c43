// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/core/fields.hpp>
#include <simgr/core/parameter.hpp>
#include <simgr/flow.hpp>

// A similarity maps user states to queries and candidate vectors to keys; a score is their product.
// It is a type with
//
//   In, Out, Candidates, Config (with for_each_field), Params, for_each_parameter
//   queries(config, params, states, cache, ctx), queries_backward(config, params, grad, dqueries,
//   cache, ctx) -> dstates keys(config, params, vectors, cache, ctx), keys_backward(config, params,
//   dkeys, dvectors, cache, ctx) keys_gradient(config, dvectors, ctx) -> where the gradient of the
//   keys is added up

namespace simgr::SIMGR_ABI {

/// s(u, i) = h_u · e_i.   Queries are states and keys are candidate vectors: nothing is copied.
///
/// @tparam C   candidates: TiedItems, OwnItems, PooledDigits<P>, EncodedItems
template <class C>
struct InnerProduct {
  using In = flow::UserStates;
  using Out = flow::ItemScores;
  using Candidates = C;
  using Config = NoFields;

  template <class T, class S = Host>
  struct Params {};
  template <class T, class S = Host>
  struct QueryCache {};
  template <class T, class S = Host>
  struct KeyCache {};
  template <class F, class... P>
  static void for_each_parameter(const Config&, F&&, P&...) {}

  template <class T, class S, class Ctx>
  static Matrix<const T, S> queries(const Config&, const Params<T, S>&, MatrixArg<T, S> states,
                                    QueryCache<T, S>&, Ctx&) {
    return states;
  }
  template <class T, class S, class Ctx>
  static Matrix<T, S> queries_backward(const Config&, const Params<T, S>&, const Params<T, S>&,
                                       Matrix<T, S> dqueries, const QueryCache<T, S>&, Ctx&) {
    return dqueries;
  }
  template <class T, class S, class Ctx>
  static Matrix<const T, S> keys(const Config&, const Params<T, S>&, MatrixArg<T, S> vectors,
                                 KeyCache<T, S>&, Ctx&) {
    return vectors;
  }
  template <class T, class S, class Ctx>
  static Matrix<T, S> keys_gradient(const Config&, Matrix<T, S> dvectors, Ctx&) {
    return dvectors;
  }
  template <class T, class S, class Ctx>
  static void keys_backward(const Config&, const Params<T, S>&, MatrixArg<T, S>, Matrix<T, S>,
                            const KeyCache<T, S>&, Ctx&) {}
};

}  // namespace simgr::SIMGR_ABI
