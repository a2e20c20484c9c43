// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <type_traits>

#include <simgr/core/op_tags.hpp>
#include <simgr/cpu/context.hpp>
#include <simgr/cpu/eigen.hpp>

// y = f(x) and dx = f'(x) dy for every activation tag of core/op_tags.hpp, in blocks that stay in
// the first cache. value(f, x) and slope(f, x) are f and f' of one block.

namespace simgr::SIMGR_ABI::cpu::detail {
template <class T>
struct Erf;
}  // namespace simgr::SIMGR_ABI::cpu::detail

/// Whole packets go through Erf<float>.
template <class T>
struct Eigen::internal::functor_traits<simgr::cpu::detail::Erf<T>> {
  enum { Cost = 40, PacketAccess = std::is_same_v<T, float> };
};

namespace simgr::SIMGR_ABI::cpu {

namespace detail {

constexpr Index activation_block = 256;

template <class T>
using Block = Eigen::Array<T, 1, Eigen::Dynamic, Eigen::RowMajor, 1, activation_block>;

/// The error function: to float accuracy (|error| < 4e-7, and as much of the value) by a quotient of
/// polynomials, fitted here on [-4, 4]; std::erf in double.
template <class T>
struct Erf {
  T operator()(T x) const {
    if constexpr (std::is_same_v<T, float>) {
      return packetOp(x);
    } else {
      return std::erf(x);
    }
  }
  template <class Packet>
  Packet packetOp(const Packet& x) const {
    namespace packet = Eigen::internal;
    const auto splat = [](float value) { return packet::pset1<Packet>(value); };
    const Packet near = packet::pmin(packet::pmax(x, splat(-4)), splat(4));
    const Packet z = packet::pmul(near, near);
    const auto over = [&](float c0, float c1, float c2, float c3, float c4, float c5) {
      Packet sum = splat(c5);
      for (const float c : {c4, c3, c2, c1, c0}) { sum = packet::pmadd(sum, z, splat(c)); }
      return sum;
    };
    return packet::pdiv(
        packet::pmul(near, over(1.12837898f, 0.196249645f, 0.053467551f, 0.00400366894f,
                                0.000288041107f, 1.97481506e-06f)),
        over(1, 0.507252878f, 0.116476688f, 0.0154444702f, 0.00121636384f, 3.74806878e-05f));
  }
};

template <class T>
Block<T> sigmoid(const Block<T>& x) {
  return (T(1) + (-x).exp()).inverse();
}

constexpr double root_2_over_pi = 0.7978845608028654;
constexpr double gelu_cubic = 0.044715;

template <class T>
Block<T> value(Relu, const Block<T>& x) {
  return x.max(T(0));
}
template <class T>
Block<T> slope(Relu, const Block<T>& x) {
  return (x > T(0)).select(Block<T>::Constant(x.size(), T(1)), T(0));
}
template <class T>
Block<T> value(GeluErf, const Block<T>& x) {
  return T(0.5) * x * (T(1) + (x * T(0.7071067811865476)).unaryExpr(Erf<T>{}));
}
template <class T>
Block<T> slope(GeluErf, const Block<T>& x) {
  return T(0.5) * (T(1) + (x * T(0.7071067811865476)).unaryExpr(Erf<T>{})) +
         x * T(0.3989422804014327) * (T(-0.5) * x * x).exp();
}
template <class T>
Block<T> value(GeluTanh, const Block<T>& x) {
  const Block<T> inner = T(root_2_over_pi) * (x + T(gelu_cubic) * x * x * x);
  return T(0.5) * x * (T(1) + inner.tanh());
}
template <class T>
Block<T> slope(GeluTanh, const Block<T>& x) {
  const Block<T> inner = T(root_2_over_pi) * (x + T(gelu_cubic) * x * x * x);
  const Block<T> t = inner.tanh();
  return T(0.5) * (T(1) + t) +
         T(0.5) * x * (T(1) - t * t) * T(root_2_over_pi) * (T(1) + T(3 * gelu_cubic) * x * x);
}
/// Both, for what computes the activation again instead of keeping it.
template <class Activation, class T>
void value_and_slope(Activation f, const Block<T>& x, Block<T>& y, Block<T>& s) {
  y = value<T>(f, x);
  s = slope<T>(f, x);
}
template <class T>
void value_and_slope(GeluTanh, const Block<T>& x, Block<T>& y, Block<T>& s) {
  const Block<T> squares = x * x;
  const Block<T> inner = T(root_2_over_pi) * x * (T(1) + T(gelu_cubic) * squares);
  const Block<T> t = inner.tanh();
  const Block<T> half = T(0.5) * (T(1) + t);
  y = x * half;
  s = half + y * (T(1) - t) * T(root_2_over_pi) * (T(1) + T(3 * gelu_cubic) * squares);
}
template <class T>
Block<T> value(Silu, const Block<T>& x) {
  return x * sigmoid<T>(x);
}
template <class T>
Block<T> slope(Silu, const Block<T>& x) {
  const Block<T> s = sigmoid<T>(x);
  return s * (T(1) + x * (T(1) - s));
}
template <class T>
Block<T> value(Sigmoid, const Block<T>& x) {
  return sigmoid<T>(x);
}
template <class T>
Block<T> slope(Sigmoid, const Block<T>& x) {
  const Block<T> s = sigmoid<T>(x);
  return s * (T(1) - s);
}
template <class T>
Block<T> value(Tanh, const Block<T>& x) {
  return x.tanh();
}
template <class T>
Block<T> slope(Tanh, const Block<T>& x) {
  const Block<T> t = x.tanh();
  return T(1) - t * t;
}
template <class T>
Block<T> value(Softplus, const Block<T>& x) {
  return x.max(T(0)) + (-x.abs()).exp().log1p();
}
template <class T>
Block<T> slope(Softplus, const Block<T>& x) {
  return sigmoid<T>(x);
}

/// f on blocks of `size` elements, one after another.
template <class F>
void in_blocks(Index size, F&& f) {
  for (Index begin = 0; begin < size; begin += activation_block) {
    f(begin, std::min(activation_block, size - begin));
  }
}

}  // namespace detail

/// y = f(x).   x, y of one size; y may be x
template <class Activation, class T>
void activate(Context&, Activation f, MatrixArg<T> x, Matrix<T> y) noexcept {
  SIMGR_ASSERT(x.size() == y.size(), "activate: shapes");
  detail::in_blocks(x.size(), [&](Index begin, Index count) {
    const detail::Block<T> in = as_row(Vector<const T>(x.data() + begin, {count}));
    as_row(Vector<T>(y.data() + begin, {count})) = detail::value<T>(f, in);
  });
}

/// dx = f'(x) dy, assigned.   x is what went into activate; dx may be dy
template <class Activation, class T>
void activate_backward(Context&, Activation f, MatrixArg<T> x, MatrixArg<T> dy,
                       Matrix<T> dx) noexcept {
  SIMGR_ASSERT(x.size() == dy.size() && x.size() == dx.size(), "activate_backward: shapes");
  detail::in_blocks(x.size(), [&](Index begin, Index count) {
    const detail::Block<T> in = as_row(Vector<const T>(x.data() + begin, {count}));
    as_row(Vector<T>(dx.data() + begin, {count})) =
        detail::slope<T>(f, in) * as_row(Vector<const T>(dy.data() + begin, {count}));
  });
}

/// y = f(x) and dx = f'(x) dy, both assigned.   dx may be dy
template <class Activation, class T>
void activate_both_ways(Context&, Activation f, MatrixArg<T> x, MatrixArg<T> dy, Matrix<T> y,
                        Matrix<T> dx) noexcept {
  SIMGR_ASSERT(x.size() == y.size() && x.size() == dy.size() && x.size() == dx.size(),
               "activate_both_ways: shapes");
  detail::in_blocks(x.size(), [&](Index begin, Index count) {
    const detail::Block<T> in = as_row(Vector<const T>(x.data() + begin, {count}));
    detail::Block<T> value, slope;
    detail::value_and_slope(f, in, value, slope);
    as_row(Vector<T>(y.data() + begin, {count})) = value;
    as_row(Vector<T>(dx.data() + begin, {count})) =
        slope * as_row(Vector<const T>(dy.data() + begin, {count}));
  });
}

}  // namespace simgr::SIMGR_ABI::cpu
