// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/core/fields.hpp>
#include <simgr/core/op_tags.hpp>
#include <simgr/core/parameter.hpp>
#include <simgr/nn/linear.hpp>

namespace simgr::SIMGR_ABI {

/// A short sequence and a vector of its user as one state: features of every item are gated by both,
/// then the items themselves.
///
///   F = x * σ(x W1' + u W2' + b);   g_i = σ(F_i · w3 + (u W4)_i);   y = u + Σ g F / Σ g + Σ x
///
/// Shapes      x [tokens, width], at most `window` tokens a sequence;  u, y [sequences, width]
/// Parameters  item.weight W1, user.weight W2 [width, width], user.bias b [width];  instance_item w3
///             [1, width], instance_user W4 [width, window], whose last column is the last item's
/// Cache       x and u, borrowed;  F and what it is gated by [tokens, width], gates and weights [tokens],
///             the pooled items [sequences, width]
/// Cost        O((tokens + sequences) · width²)
/// Gradients   parameters accumulate, dx and du are assigned
/// Source      Ma, Kang & Liu, "Hierarchical Gating Networks for Sequential Recommendation", KDD 2019,
///             equations 2, 3, 4 and 7
struct HierarchicalGating {
  using Numbers = NoFields;
  struct Config {
    Index width = 0, window = 0;
    Numbers own{};

    Linear::Config item() const { return {width, width, false}; }
    Linear::Config user() const { return {width, width}; }
  };
  template <class T, class S = Host>
  struct Params {
    Linear::Params<T, S> item, user;
    Matrix<T, S> instance_item, instance_user;
  };
  template <class T, class S = Host>
  struct Cache {
    Offsets offsets;
    MatrixArg<T, S> users;
    Linear::Cache<T, S> item, user;
    Matrix<T, S> before, open, gated;  // F = x * open, open = σ(before)
    Matrix<T, S> pooled;
    Vector<T, S> gates, weights;
  };

  template <class F, class... P>
  static void for_each_parameter(const Config& c, F&& f, P&... p) {
    Linear::for_each_parameter(c.item(), under("item", f), p.item...);
    Linear::for_each_parameter(c.user(), under("user", f), p.user...);
    f(Spec<2>{"instance_item", {1, c.width}, Init::xavier()}, p.instance_item...);
    f(Spec<2>{"instance_user", {c.width, c.window}, Init::xavier()}, p.instance_user...);
  }

  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const Config& c, const Params<T, S>& p, MatrixArg<T, S> x,
                              MatrixArg<T, S> u, Offsets offsets, Cache<T, S>& cache, Ctx& ctx) {
    const auto take = [&](Index rows, Index cols) { return ctx.template take<T>(rows, cols); };
    cache.offsets = offsets;
    cache.users = u;
    cache.before = Linear::forward(c.item(), p.item, x, cache.item, ctx);
    add_to_sequences(ctx, Linear::forward(c.user(), p.user, u, cache.user, ctx), offsets,
                     cache.before);
    cache.open = take(x.rows(), c.width);
    activate(ctx, Sigmoid{}, cache.before, cache.open);
    cache.gated = take(x.rows(), c.width);
    multiply(ctx, x, cache.open, cache.gated);

    const Matrix<T, S> scores = take(x.rows(), 1), of_places = take(u.rows(), c.window);
    gemm_nt(ctx, cache.gated, p.instance_item, scores, Write::assign);
    gemm_nn(ctx, u, p.instance_user, of_places, Write::assign);
    cache.gates = ctx.template take<T>(x.rows());
    cache.weights = ctx.template take<T>(x.rows());
    gate_sequences(ctx, as_vector(scores), of_places, offsets, cache.gates, cache.weights);
    cache.pooled = take(u.rows(), c.width);
    sum_sequences(ctx, cache.weights, cache.gated, offsets, cache.pooled);

    const Matrix<T, S> y = take(u.rows(), c.width);
    copy(ctx, u, y, Write::assign);
    copy(ctx, cache.pooled, y, Write::add);
    add_sequence_sums(ctx, x, offsets, y);
    return y;
  }

  // forward: see above.  dF = w dy + de w3, dw_i = F_i · dy;  with a = x W1' + u W2' + b:
  // dx = dF * σ(a) + da W1 + dy,  da = dF * x * σ'(a);  du = dy + de W4' + (Σ da) W2
  template <class T, class S, class Ctx>
  static Matrix<T, S> backward(const Config& c, const Params<T, S>& p, const Params<T, S>& grad,
                               MatrixArg<T, S> dy, Matrix<T, S> du, const Cache<T, S>& cache,
                               Ctx& ctx) {
    const MatrixArg<T, S> x = cache.item.x;
    const Offsets offsets = cache.offsets;
    const auto take = [&](Index rows, Index cols) { return ctx.template take<T>(rows, cols); };
    const Matrix<T, S> dgated = take(x.rows(), c.width), dscores = take(x.rows(), 1),
                       dof_places = take(dy.rows(), c.window);
    const Vector<T, S> de = as_vector(dscores);
    sum_sequences_backward(ctx, cache.weights, cache.gated, offsets, dy, dgated, de);
    gate_sequences_backward(ctx, cache.gates, cache.weights, offsets, de, de, dof_places);
    gemm_tn(ctx, dscores, cache.gated, grad.instance_item, Write::add);
    gemm_nn(ctx, dscores, p.instance_item, dgated, Write::add);
    gemm_tn(ctx, cache.users, dof_places, grad.instance_user, Write::add);
    copy(ctx, dy, du, Write::assign);
    gemm_nt(ctx, dof_places, p.instance_user, du, Write::add);

    const Matrix<T, S> dbefore = take(x.rows(), c.width), of_users = take(dy.rows(), c.width);
    multiply(ctx, dgated, x, dbefore);
    activate_backward(ctx, Sigmoid{}, cache.before, dbefore, dbefore);
    fill(ctx, of_users, T(0));
    add_sequence_sums(ctx, dbefore, offsets, of_users);
    copy(ctx, Linear::backward(c.user(), p.user, grad.user, of_users, cache.user, ctx), du,
         Write::add);
    const Matrix<T, S> dx = Linear::backward(c.item(), p.item, grad.item, dbefore, cache.item, ctx);
    multiply(ctx, dgated, cache.open, dgated);
    copy(ctx, dgated, dx, Write::add);
    add_to_sequences(ctx, dy, offsets, dx);
    return dx;
  }

private:
  template <class T, class S>
  static Vector<T, S> as_vector(Matrix<T, S> column) {
    return {column.data(), {column.rows()}};
  }
};

}  // namespace simgr::SIMGR_ABI
