// SPDX-License-Identifier: Apache-2.0
#include <nn/golden.hpp>

#include <simgr/nn/activation.hpp>
#include <simgr/nn/layer_norm.hpp>
#include <simgr/nn/rms_norm.hpp>

using namespace simgr;

namespace simgr_test {

namespace {

template <class L, class T>
void check_norm(GoldenCase& golden, const typename L::Config& config) {
  Bench bench;
  GoldenParameters<L, T> p(config);
  const auto same = [](const std::string& name) { return std::vector<std::string>{name}; };
  p.load(golden, same);
  const OwnedMatrix<T> x = golden.matrix<T>("input.x"), dy = golden.matrix<T>("input.upstream");
  typename L::template Cache<T> cache;
  const Matrix<T> y = L::forward(config, p.params, x.view(), cache, bench.ctx);
  meets(golden, "output.y", y);
  const Matrix<T> dx = L::backward(config, p.params, p.grads, dy.view(), cache, bench.ctx);
  meets(golden, "grad.x", dx);
  p.compare(golden, same);
  meets_loss<T>(golden, dot<T>(y.span(), dy.view().span()));
}

/// y and dx by two functions of (x, y) and (x, y, dy, dx).
template <class T, class Forward, class Backward>
void check_rows(GoldenCase& golden, Forward&& forward, Backward&& backward) {
  Bench bench;
  const OwnedMatrix<T> x = golden.matrix<T>("input.x"), dy = golden.matrix<T>("input.upstream");
  OwnedMatrix<T> y(x.rows, x.cols), dx(x.rows, x.cols);
  forward(bench.ctx, x.view(), y.view());
  meets(golden, "output.y", y.view());
  backward(bench.ctx, x.view(), y.view(), dy.view(), dx.view());
  meets(golden, "grad.x", dx.view());
  meets_loss<T>(golden, dot<T>(std::as_const(y).view().span(), dy.view().span()));
}

template <class F>
void check_activation_of(GoldenCase& golden) {
  in_both([&]<class T>(T) { check_norm<Activation<F>, T>(golden, {}); });
}

}  // namespace

void check_normalisation(GoldenCase& golden) {
  const std::string formula = *golden.json().find("definition")->as_text();
  in_both([&]<class T>(T) {
    if (golden.has("param.bias")) {
      check_norm<LayerNorm, T>(golden, {golden.shape("input.x").back(), golden.number("eps")});
    } else if (golden.has("param.weight")) {
      check_norm<RmsNorm, T>(golden, {golden.shape("input.x").back(), golden.number("eps")});
    } else if (formula.find("softmax") != formula.npos) {
      check_rows<T>(
          golden,
          [](auto& ctx, auto x, auto y) {
            copy(ctx, x, y, Write::assign);
            softmax_rows(ctx, y);
          },
          [](auto& ctx, auto, auto y, auto dy, auto dx) { softmax_rows_backward(ctx, y, dy, dx); });
    } else {
      std::vector<T> lengths(static_cast<std::size_t>(golden.shape("input.x").front()));
      const Vector<T> scale(lengths.data(), {static_cast<Index>(lengths.size())});
      check_rows<T>(
          golden, [&](auto& ctx, auto x, auto y) { normalise_rows(ctx, x, T(1), y, scale); },
          [&](auto& ctx, auto x, auto, auto dy, auto dx) {
            normalise_rows_backward(ctx, x, T(1), scale, dy, dx, Write::assign);
          });
    }
  });
}

void check_activation(GoldenCase& golden) {
  const std::string formula = *golden.json().find("definition")->as_text();
  const auto about = [&](const char* name) { return formula.starts_with(name); };
  if (about("relu")) {
    check_activation_of<Relu>(golden);
  } else if (about("gelu_erf")) {
    check_activation_of<GeluErf>(golden);
  } else if (about("gelu_tanh")) {
    check_activation_of<GeluTanh>(golden);
  } else if (about("silu")) {
    check_activation_of<Silu>(golden);
  } else if (about("sigmoid")) {
    check_activation_of<Sigmoid>(golden);
  } else if (about("tanh")) {
    check_activation_of<Tanh>(golden);
  } else if (about("softplus")) {
    check_activation_of<Softplus>(golden);
  }
}

}  // namespace simgr_test
