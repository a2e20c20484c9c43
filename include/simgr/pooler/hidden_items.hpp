// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/core/hiding.hpp>
#include <simgr/core/op_tags.hpp>
#include <simgr/flow.hpp>
#include <simgr/nn/layer_norm.hpp>
#include <simgr/nn/linear.hpp>
#include <simgr/pooler/positions.hpp>
#include <simgr/pooler/unpooled.hpp>

namespace simgr::SIMGR_ABI {

/// The states of hidden items as they are: of a ClozeEncoder, which gives no others. Its numbers say
/// what is hidden of an example.
struct HiddenItems : Unpooled {
  using In = flow::MaskStates;
  using Out = flow::UserStates;
  struct Config {
    Hiding hiding{};

    template <class F, class C>
    static void for_each_field(C& c, F&& f) {
      Hiding::for_each_field(c.hiding, f);
    }
  };
  static constexpr Examples examples = Examples::hidden_items;
  static constexpr bool serves_last_position = true;
};

/// The same through BERT's head, a map that stands between a state and what it is compared with:
///
///   y = norm(gelu(W h + b))
///
/// Shapes      states [masks, width] -> y [masks, width]
/// Parameters  head.weight [width, width], head.bias [width];  head_norm.weight and .bias [width]
/// Cache       of both layers, and what the map gives before gelu
/// Cost        O(masks · width²)
/// Gradients   parameters accumulate, dstates is assigned
/// Source      Sun et al. 2019 (BERT4Rec), equation 7; the norm: their published code
struct HiddenItemsHead : HiddenItems {
  template <class T, class S = Host>
  struct Params {
    Linear::Params<T, S> head;
    LayerNorm::Params<T, S> norm;
  };
  template <class T, class S = Host>
  struct Cache {
    Linear::Cache<T, S> head;
    Matrix<T, S> mapped;  // [masks, width]
    LayerNorm::Cache<T, S> norm;
  };
  template <class F, class... P>
  static void for_each_parameter(const PoolerShape& shape, F&& f, P&... p) {
    Linear::for_each_parameter(head(shape), under("head", f), p.head...);
    LayerNorm::for_each_parameter(norm(shape), under("head_norm", f), p.norm...);
  }

  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const PoolerShape& shape, const Params<T, S>& p, Matrix<T, S> states,
                              Offsets, Cache<T, S>& cache, Ctx& ctx) {
    return of_positions(shape, p, states, cache, ctx);
  }
  template <class T, class S, class Ctx>
  static Matrix<T, S> of_positions(const PoolerShape& shape, const Params<T, S>& p,
                                   Matrix<T, S> states, Cache<T, S>& cache, Ctx& ctx) {
    cache.mapped = Linear::forward(head(shape), p.head, MatrixArg<T, S>(states), cache.head, ctx);
    const Matrix<T, S> active = ctx.template take<T>(states.rows(), shape.width);
    activate(ctx, GeluErf{}, cache.mapped, active);
    return LayerNorm::forward(norm(shape), p.norm, MatrixArg<T, S>(active), cache.norm, ctx);
  }
  template <class T, class S, class Ctx>
  static Matrix<T, S> backward(const PoolerShape& shape, const Params<T, S>& p,
                               const Params<T, S>& grad, MatrixArg<T, S> dy, Offsets,
                               const Cache<T, S>& cache, Ctx& ctx) {
    const Matrix<T, S> dactive =
        LayerNorm::backward(norm(shape), p.norm, grad.norm, dy, cache.norm, ctx);
    activate_backward(ctx, GeluErf{}, cache.mapped, dactive, dactive);
    return Linear::backward(head(shape), p.head, grad.head, MatrixArg<T, S>(dactive), cache.head,
                            ctx);
  }

private:
  static Linear::Config head(const PoolerShape& shape) {
    return {shape.width, shape.width, true, Init::normal(0.02)};
  }
  static LayerNorm::Config norm(const PoolerShape& shape) { return {shape.width, 1e-12}; }
};

}  // namespace simgr::SIMGR_ABI
