// SPDX-License-Identifier: Apache-2.0
#include <simgr/nn/feed_forward.hpp>

#include <numeric>
#include <vector>

#include <support/gradient_check.hpp>
#include <support/parts_of_a_pass.hpp>

using namespace simgr;
using simgr_test::PassOutcome;

TEST_CASE_TEMPLATE("feed-forward nets give the gradients of their forward pass, dropout included",
                   Net, FeedForward<Relu>, FeedForward<GeluTanh, Gated>, SwiGlu<>) {
  simgr_test::check_gradients<Net>({.width = 5, .inner = 7}, 6, 5);
  simgr_test::check_gradients<Net>({.width = 5, .inner = 7, .dropout = .3}, 6, 5);
}

TEST_CASE("a plain net gives the same for rows that go through it some at a time") {
  using Net = FeedForward<Relu>;
  const Net::Config c{
      .width = 4, .inner = 20000, .dropout = .25};  // 32 rows at a time, of doubles too
  constexpr Index rows = 70;
  const ParameterTable table = describe<Net>(c);
  std::vector<double> weights = simgr_test::random_block(table, 3);
  const auto p = bind<Net>(c, weights.data());
  std::vector<double> x = simgr_test::random_values(rows * c.width, 4),
                      dy = simgr_test::random_values(rows * c.width, 5);

  const auto run = [&](Index first, Index count, bool training) {
    PassOutcome outcome;
    Arena arena;
    cpu::Context ctx{arena, training, 9};
    outcome.gradient.resize(static_cast<std::size_t>(table.block_size));
    const auto grad = bind<Net>(c, outcome.gradient.data());
    const auto part = [&](std::vector<double>& all) {
      return MatrixArg<double>(all.data() + first * c.width, {count, c.width});
    };
    Net::Cache<double> cache;
    const auto y = Net::forward<double, Host>(c, p, part(x), cache, ctx);
    const auto dx = Net::backward<double, Host>(c, p, grad, part(dy), cache, ctx);
    outcome.y.assign(y.begin(), y.end());
    outcome.dx.assign(dx.begin(), dx.end());
    return outcome;
  };

  const PassOutcome whole = run(0, rows, false);
  PassOutcome parts;
  for (Index row = 0; row < rows; ++row) { parts.append(run(row, 1, false)); }
  simgr_test::check_alike(whole, parts);

  // y is homogeneous in x and in each of the two matrices: backward saw the mask of forward.
  const PassOutcome dropped = run(0, rows, true);
  CHECK_FALSE(simgr_test::alike(dropped.y, whole.y));
  const auto product = [](const double* a, const double* b, std::size_t count) {
    return std::inner_product(a, a + count, b, 0.0);
  };
  const double expected = product(dropped.y.data(), dy.data(), dy.size());
  CHECK(product(dropped.dx.data(), x.data(), x.size()) == doctest::Approx(expected));
  for (const TensorEntry& tensor : table.tensors) {
    CAPTURE(tensor.name);
    CHECK(product(dropped.gradient.data() + tensor.offset, weights.data() + tensor.offset,
                  static_cast<std::size_t>(tensor.size)) == doctest::Approx(expected));
  }
}
