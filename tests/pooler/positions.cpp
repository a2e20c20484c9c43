// SPDX-License-Identifier: Apache-2.0
#include <simgr/pooler/positions.hpp>

#include <support/gradient_check.hpp>

using namespace simgr;

namespace {

const std::vector<Index> ragged{0, 4, 6, 12};  // sequences of 2, 1 and 3 items of two tokens

template <class P>
std::vector<double> read(bool training) {
  const std::vector<double> x = simgr_test::random_values(12 * 3, 1);
  Arena arena;
  cpu::Context ctx{arena, training};
  typename P::template Cache<double> cache;
  const Matrix<double> y = P::forward(PoolerShape{3, 2}, typename P::template Params<double>{},
                                      MatrixArg<double>(x.data(), {12, 3}), ragged, cache, ctx);
  const Matrix<double> dx =
      P::backward(PoolerShape{3, 2}, typename P::template Params<double>{},
                  typename P::template Params<double>{}, y, ragged, cache, ctx);
  // A gather: what was read comes back to its place, and nothing else.
  double inside = 0, all = 0;
  for (Index i = 0; i < dx.size(); ++i) {
    const double value = dx.data()[i];
    CHECK((value == 0 || value == x[static_cast<std::size_t>(i)]));
    all += value * value;
  }
  for (const double value : y) { inside += value * value; }
  CHECK(all == doctest::Approx(inside));
  return {y.begin(), y.end()};
}

std::vector<double> tokens(const std::vector<std::size_t>& rows) {
  const std::vector<double> x = simgr_test::random_values(12 * 3, 1);
  std::vector<double> y;
  for (const std::size_t row : rows) {
    y.insert(y.end(), x.begin() + static_cast<std::ptrdiff_t>(3 * row),
             x.begin() + static_cast<std::ptrdiff_t>(3 * row + 3));
  }
  return y;
}

}  // namespace

TEST_CASE("EveryPosition trains on the last token of every item and serves the last of all") {
  CHECK(read<EveryPosition>(true) == tokens({1, 3, 5, 7, 9, 11}));
  CHECK(read<EveryPosition>(false) == tokens({3, 5, 11}));
}
TEST_CASE("LastPosition reads one row for each history, in training as in serving") {
  CHECK(read<LastPosition>(true) == tokens({3, 5, 11}));
  CHECK(read<LastPosition>(false) == tokens({3, 5, 11}));
}
