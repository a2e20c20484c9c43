// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include <simgr/core/fields.hpp>
#include <simgr/core/parameter.hpp>
#include <simgr/flow.hpp>

namespace simgr::SIMGR_ABI {

/// s(u, i) = cos(h_u, e_i) / temperature.   Queries are h / (|h| temperature), keys are e / |e|.
///
/// @tparam C   candidates: TiedItems, OwnItems, PooledDigits<P>, EncodedItems, DigitCodebooks
///
/// Parameters  log_inverse_temperature [1], where `learned`
/// Gradients   dx = (dn - n (n · dn)) / |x| for both sides;
///             d log(1/temperature) = Σ_rows query · dquery
/// Source      SimGR (arXiv 2602.07847) for the temperature; that the similarity is the cosine, and .07,
///             are ours
template <class C>
struct ScaledCosine {
  using In = typename C::States;
  using Out = typename C::Scores;
  using Candidates = C;
  struct Config {
    double temperature = 0.07;
    bool learned = false;

    template <class F, class X>
    static void for_each_field(X& c, F&& f) {
      f(Field{"temperature", 1e-3, 100, "divides the cosine"}, c.temperature);
      f(Field{"learned", 0, 1, "train the temperature"}, c.learned);
    }
  };

  template <class T, class S = Host>
  struct Params {
    Vector<T, S> log_inverse_temperature;
  };
  template <class T, class S = Host>
  struct QueryCache {
    MatrixArg<T, S> states;
    Matrix<T, S> queries;
    Vector<T, S> scale;
  };
  template <class T, class S = Host>
  struct KeyCache {
    MatrixArg<T, S> vectors;
    Vector<T, S> scale;
  };
  template <class F, class... P>
  static void for_each_parameter(const Config& c, F&& f, P&... p) {
    if (c.learned) {
      f(
          Spec<1>{
              "log_inverse_temperature", {1}, Init::constant(-std::log(c.temperature)), Decay::no},
          p.log_inverse_temperature...);
    }
  }

  template <class T, class S, class Ctx>
  static Matrix<const T, S> queries(const Config& c, const Params<T, S>& p, MatrixArg<T, S> states,
                                    QueryCache<T, S>& cache, Ctx& ctx) {
    cache = {states, ctx.template take<T>(states.rows(), states.cols()),
             ctx.template take<T>(states.rows())};
    normalise_rows(ctx, states, inverse_temperature(c, p), cache.queries, cache.scale);
    return cache.queries;
  }
  template <class T, class S, class Ctx>
  static Matrix<T, S> queries_backward(const Config& c, const Params<T, S>& p,
                                       const Params<T, S>& grad, Matrix<T, S> dqueries,
                                       const QueryCache<T, S>& cache, Ctx& ctx) {
    if (c.learned) {
      const Vector<T, S> dots = ctx.template take<T>(dqueries.rows());
      row_dots(ctx, cache.queries, dqueries, dots);
      add_column_sums(ctx, Matrix<T, S>(dots.data(), {dots.size(), 1}),
                      grad.log_inverse_temperature);
    }
    Matrix<T, S> dstates = ctx.template take<T>(dqueries.rows(), dqueries.cols());
    normalise_rows_backward(ctx, cache.states, inverse_temperature(c, p), cache.scale, dqueries,
                            dstates, Write::assign);
    return dstates;
  }
  template <class T, class S, class Ctx>
  static Matrix<const T, S> keys(const Config&, const Params<T, S>&, MatrixArg<T, S> vectors,
                                 KeyCache<T, S>& cache, Ctx& ctx) {
    cache = {vectors, ctx.template take<T>(vectors.rows())};
    const Matrix<T, S> keys = ctx.template take<T>(vectors.rows(), vectors.cols());
    normalise_rows(ctx, vectors, T(1), keys, cache.scale);
    return keys;
  }
  template <class T, class S, class Ctx>
  static Matrix<T, S> keys_gradient(const Config&, Matrix<T, S> dvectors, Ctx& ctx) {
    Matrix<T, S> dkeys = ctx.template take<T>(dvectors.rows(), dvectors.cols());
    fill(ctx, dkeys, T(0));
    return dkeys;
  }
  template <class T, class S, class Ctx>
  static void keys_backward(const Config&, const Params<T, S>&, MatrixArg<T, S> dkeys,
                            Matrix<T, S> dvectors, const KeyCache<T, S>& cache, Ctx& ctx) {
    normalise_rows_backward(ctx, cache.vectors, T(1), cache.scale, dkeys, dvectors, Write::add);
  }

private:
  template <class T, class S>
  static T inverse_temperature(const Config& c, const Params<T, S>& p) {
    return c.learned ? std::exp(p.log_inverse_temperature[0]) : static_cast<T>(1 / c.temperature);
  }
};

}  // namespace simgr::SIMGR_ABI
