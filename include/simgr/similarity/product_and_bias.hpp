// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/core/fields.hpp>
#include <simgr/core/op_tags.hpp>
#include <simgr/core/parameter.hpp>
#include <simgr/flow.hpp>
#include <simgr/similarity/candidates.hpp>
#include <simgr/similarity/inner_product.hpp>

namespace simgr::SIMGR_ABI {

/// The item vectors that the encoder reads, and beside each the item's bias.
///
/// Shapes      vectors [items, width + 1]
/// Parameters  bias [items]
struct TiedItemsAndBias {
  using States = flow::UserStates;
  using Scores = flow::ItemScores;
  template <class E>
  struct Over : TiedItems::Over<E> {
    using Shape = typename TiedItems::Over<E>::Shape;
    template <class T, class S = Host>
    struct Params {
      Vector<T, S> bias;
    };
    template <class F, class... P>
    static void for_each_parameter(const Shape& shape, F&& f, P&... p) {
      f(Spec<1>{"bias", {shape.catalogue.items}, Init::zeros(), Decay::no}, p.bias...);
    }

    template <class T, class S, class Cache, class Ctx>
    static Matrix<const T, S> vectors(const Shape& shape, const Params<T, S>& p,
                                      Matrix<const T, S> rows, const ItemsView<S>&, Cache&,
                                      Ctx& ctx) {
      const Matrix<T, S> y = ctx.template take<T>(p.bias.size(), shape.width + 1);
      copy_to_columns(ctx, MatrixArg<T, S>(rows.slice(0, p.bias.size())), Columns<T, S>{y, 0});
      copy_to_columns(ctx, MatrixArg<T, S>(p.bias.data(), {p.bias.size(), 1}),
                      Columns<T, S>{y, shape.width});
      return y;
    }
    template <class T, class S, class Ctx>
    static Matrix<T, S> gradient(const Shape& shape, const Params<T, S>& grad, Matrix<T, S>,
                                 Ctx& ctx) {
      const Matrix<T, S> dvectors = ctx.template take<T>(grad.bias.size(), shape.width + 1);
      fill(ctx, dvectors, T(0));
      return dvectors;
    }
    template <class T, class S, class Cache, class Ctx>
    static void backward(const Shape& shape, const Params<T, S>&, const Params<T, S>& grad,
                         MatrixArg<T, S>, const ItemsView<S>&, MatrixArg<T, S> dvectors,
                         Matrix<T, S> drows, const Cache&, Ctx& ctx) {
      for (Index i = 0; i < dvectors.rows(); ++i) {
        copy(ctx, dvectors.row(i).slice(0, shape.width), drows.row(i), Write::add);
        grad.bias[i] += dvectors(i, shape.width);
      }
    }
  };
};

/// s(u, i) = h_u · e_i + b_i, as one product: (h_u, 1) · (e_i, b_i).
///
/// @tparam C   TiedItemsAndBias
template <class C>
struct ProductAndBias : InnerProduct<C> {
  using typename InnerProduct<C>::Config;
  template <class T, class S = Host>
  using Params = typename InnerProduct<C>::template Params<T, S>;
  /// Numbers of a query beside the state.
  static constexpr Index columns_beside = 1;

  template <class T, class S, class Cache, class Ctx>
  static Matrix<const T, S> queries(const Config&, const Params<T, S>&, MatrixArg<T, S> states,
                                    Cache&, Ctx& ctx) {
    const Matrix<T, S> y = ctx.template take<T>(states.rows(), states.cols() + 1);
    fill(ctx, y, T(1));
    copy_to_columns(ctx, states, Columns<T, S>{y, 0});
    return y;
  }
  template <class T, class S, class Cache, class Ctx>
  static Matrix<T, S> queries_backward(const Config&, const Params<T, S>&, const Params<T, S>&,
                                       Matrix<T, S> dqueries, const Cache&, Ctx& ctx) {
    const Matrix<T, S> dstates = ctx.template take<T>(dqueries.rows(), dqueries.cols() - 1);
    for (Index r = 0; r < dstates.rows(); ++r) {
      copy(ctx, dqueries.row(r).slice(0, dstates.cols()), dstates.row(r), Write::assign);
    }
    return dstates;
  }
};

}  // namespace simgr::SIMGR_ABI
