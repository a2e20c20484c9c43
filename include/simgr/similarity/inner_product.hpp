// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/core/fields.hpp>
#include <simgr/core/parameter.hpp>
#include <simgr/flow.hpp>

// A similarity maps user states to queries and candidate vectors to keys; a score is their product.
// It is a type with
//
//   In, Out, Candidates, Config (with for_each_field), Params, for_each_parameter
//   queries(config, params, states, cache, ctx)         -> queries [rows, width]
//   queries_backward(config, params, grad, dqueries, cache, ctx)    -> dstates
//   keys(config, params, vectors, cache, ctx)           -> keys [items, width]
//   keys_gradient(config, dvectors, ctx)                -> where the gradient of the keys is added up
//   keys_backward(config, params, dkeys, dvectors, cache, ctx)      dvectors accumulates
//
// One whose scores are no products has Scores<T, S> besides, with terms() and scores() to make them:
// see similarity/cross_attention.hpp.

namespace simgr::SIMGR_ABI {

/// The half of a similarity whose queries are states and whose keys are candidate vectors: nothing
/// is copied, and gradients are handed on.
struct StatesAndVectors {
  template <class T, class S = Host>
  struct QueryCache {};
  template <class T, class S = Host>
  struct KeyCache {};

  template <class Config, class Params, class T, class S, class Ctx>
  static Matrix<const T, S> queries(const Config&, const Params&, MatrixArg<T, S> states,
                                    QueryCache<T, S>&, Ctx&) {
    return states;
  }
  template <class Config, class Params, class T, class S, class Ctx>
  static Matrix<T, S> queries_backward(const Config&, const Params&, const Params&,
                                       Matrix<T, S> dqueries, const QueryCache<T, S>&, Ctx&) {
    return dqueries;
  }
  template <class Config, class Params, class T, class S, class Ctx>
  static Matrix<const T, S> keys(const Config&, const Params&, MatrixArg<T, S> vectors,
                                 KeyCache<T, S>&, Ctx&) {
    return vectors;
  }
  template <class Config, class T, class S, class Ctx>
  static Matrix<T, S> keys_gradient(const Config&, Matrix<T, S> dvectors, Ctx&) {
    return dvectors;
  }
  template <class Config, class Params, class T, class S, class Ctx>
  static void keys_backward(const Config&, const Params&, MatrixArg<T, S>, Matrix<T, S>,
                            const KeyCache<T, S>&, Ctx&) {}
};

/// s(u, i) = h_u · e_i
///
/// @tparam C   candidates: TiedItems, OwnItems, PooledDigits<P>, EncodedItems, DigitCodebooks
template <class C>
struct InnerProduct : StatesAndVectors {
  using In = typename C::States;
  using Out = typename C::Scores;
  using Candidates = C;
  using Config = NoFields;

  template <class T, class S = Host>
  struct Params {};
  template <class F, class... P>
  static void for_each_parameter(const Config&, F&&, P&...) {}
};

}  // namespace simgr::SIMGR_ABI
