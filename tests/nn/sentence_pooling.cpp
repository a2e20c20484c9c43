// SPDX-License-Identifier: Apache-2.0
#include <simgr/nn/sentence_pooling.hpp>

#include <support/gradient_check.hpp>

using namespace simgr;

namespace {

/// A layer without parameters.
struct PoolingAlone {
  using Config = SentencePooling::Config;
  template <class T, class S = Host>
  struct Params {};
  template <class T, class S = Host>
  using Cache = SentencePooling::Cache<T, S>;
  template <class F, class... P>
  static void for_each_parameter(const Config&, F&&, P&...) {}
};

const std::vector<Index> pooled_offsets{0, 3, 4, 9, 11};

template <class T>
std::vector<T> pooled(const SentencePooling::Config& config, const std::vector<T>& x) {
  Arena arena;
  cpu::Context ctx{arena};
  SentencePooling::Cache<T> cache;
  const Matrix<T> y = SentencePooling::forward<T>(config, Matrix<const T>(x.data(), {11, 5}),
                                                  pooled_offsets, cache, ctx);
  return {y.begin(), y.end()};
}

constexpr Pooling every_pooling[] = {Pooling::mean, Pooling::first, Pooling::last};

}  // namespace

TEST_CASE("sentence pooling: gradients agree with finite differences") {
  for (const Pooling pooling : every_pooling) {
    for (const bool normalised : {false, true}) {
      CAPTURE(static_cast<int>(pooling));
      CAPTURE(normalised);
      const SentencePooling::Config config{pooling, normalised};
      simgr_test::check_gradients<PoolingAlone>(
          config, 11, 5,
          [&](const auto&, auto x, auto& cache, auto& ctx) {
            return SentencePooling::forward<double>(config, x, pooled_offsets, cache, ctx);
          },
          [&](const auto&, const auto&, auto dy, const auto& cache, auto& ctx) {
            return SentencePooling::backward<double>(config, dy, cache, ctx);
          });
    }
  }
}

TEST_CASE("sentence pooling: rows are what a plain loop makes of each sequence alone") {
  const std::vector<double> x = simgr_test::random_values(55, 5);
  for (const Pooling pooling : every_pooling) {
    const std::vector<double> plain = pooled<double>({pooling, false}, x);
    const std::vector<double> unit = pooled<double>({pooling, true}, x);
    for (std::size_t s = 0; s + 1 < pooled_offsets.size(); ++s) {
      const Index begin = pooled_offsets[s], end = pooled_offsets[s + 1];
      double squares = 0;
      for (std::size_t c = 0; c < 5; ++c) {
        double expected = 0;
        for (Index t = begin; t < end; ++t) {
          const bool counts =
              pooling == Pooling::mean || t == (pooling == Pooling::first ? begin : end - 1);
          expected += counts ? x[static_cast<std::size_t>(t) * 5 + c] : 0;
        }
        expected /= pooling == Pooling::mean ? static_cast<double>(end - begin) : 1;
        CHECK(plain[s * 5 + c] == doctest::Approx(expected).epsilon(1e-12));
        squares += expected * expected;
      }
      for (std::size_t c = 0; c < 5; ++c) {
        CHECK(unit[s * 5 + c] * std::sqrt(squares) ==
              doctest::Approx(plain[s * 5 + c]).epsilon(1e-12));
      }
    }
  }
}

TEST_CASE("sentence pooling: float is close to double") {
  const std::vector<double> x = simgr_test::random_values(55, 6);
  for (const Pooling pooling : every_pooling) {
    const std::vector<double> exact = pooled<double>({pooling, true}, x);
    const std::vector<float> found =
        pooled<float>({pooling, true}, std::vector<float>(x.begin(), x.end()));
    for (std::size_t i = 0; i < exact.size(); ++i) {
      CHECK(std::abs(static_cast<double>(found[i]) - exact[i]) < 1e-6);
    }
  }
}
