// SPDX-License-Identifier: Apache-2.0
#include <nn/golden.hpp>

#include <simgr/nn/feed_forward.hpp>
#include <simgr/nn/linear.hpp>
#include <simgr/nn/lora.hpp>

using namespace simgr;

namespace simgr_test {

namespace {

template <class L, class T, class Parts>
void check_layer(GoldenCase& golden, const typename L::Config& config, Parts&& parts) {
  Bench bench;
  GoldenParameters<L, T> p(config);
  p.load(golden, parts);
  const OwnedMatrix<T> x = golden.matrix<T>("input.x"), dy = golden.matrix<T>("input.upstream");
  typename L::template Cache<T> cache;
  const Matrix<T> y = L::forward(config, p.params, x.view(), cache, bench.ctx);
  meets(golden, "output.y", y);
  const Matrix<T> dx = L::backward(config, p.params, p.grads, dy.view(), cache, bench.ctx);
  meets(golden, "grad.x", dx);
  p.compare(golden, parts);
  meets_loss<T>(golden, dot<T>(y.span(), dy.view().span()));
}

template <class T>
void check_embedding(GoldenCase& golden) {
  Bench bench;
  const OwnedMatrix<T> table = golden.matrix<T>("param.weight"),
                       dy = golden.matrix<T>("input.upstream");
  const std::vector<std::int32_t> ids = golden.tensor<std::int32_t>("input.ids");
  OwnedMatrix<T> y(dy.rows, dy.cols), dtable(table.rows, table.cols);
  gather_rows(bench.ctx, table.view(), std::span<const std::int32_t>(ids), y.view());
  meets(golden, "output.y", y.view());
  scatter_add_rows(bench.ctx, dy.view(), std::span<const std::int32_t>(ids), T(1), dtable.view());
  meets(golden, "grad.weight", dtable.view());
  meets_loss<T>(golden, dot<T>(std::as_const(y).view().span(), dy.view().span()));
}

using Names = std::vector<std::string>;

}  // namespace

void check_map(GoldenCase& golden) {
  in_both([&]<class T>(T) {
    if (golden.has("input.ids")) {
      check_embedding<T>(golden);
    } else if (golden.has("param.gate_proj.weight")) {
      const std::vector<Index> shape = golden.shape("param.gate_proj.weight");
      check_layer<SwiGlu<>, T>(golden, {shape[1], shape[0]}, [](const std::string& name) {
        return Names{name.substr(0, name.find('.')) + "_proj.weight"};
      });
    } else if (golden.has("param.lora_a")) {
      const std::vector<Index> shape = golden.shape("param.weight");
      const Lora<Linear>::Config config{.base = {shape[1], shape[0]},
                                        .rank = golden.integer("rank"),
                                        .alpha = golden.number("alpha"),
                                        .frozen = false};
      check_layer<Lora<Linear>, T>(golden, config, [](const std::string& name) {
        return Names{name.starts_with("base.") ? name.substr(5) : "lora_" + name};
      });
    } else {
      const std::vector<Index> shape = golden.shape("param.weight");
      check_layer<Linear, T>(golden, {shape[1], shape[0], golden.has("param.bias")},
                             [](const std::string& name) { return Names{name}; });
    }
  });
}

}  // namespace simgr_test
