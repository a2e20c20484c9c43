// SPDX-License-Identifier: Apache-2.0
#include <simgr/nn/sequence_filter.hpp>

#include <complex>

#include <support/gradient_check.hpp>

using namespace simgr;

namespace {

/// What the filter is defined as: a padded sequence, its transform, the product, and back.
std::vector<double> by_transform(const std::vector<std::complex<double>>& weight,
                                 const std::vector<double>& x, Index places) {
  const double turn = 2 * std::acos(-1.0) / static_cast<double>(places);
  std::vector<std::complex<double>> spectrum;
  for (Index f = 0; f < places; ++f) {
    std::complex<double> sum = 0;
    for (std::size_t t = 0; t < x.size(); ++t) {
      sum += x[t] * std::polar(1.0, -turn * static_cast<double>(f) * static_cast<double>(t));
    }
    const bool mirrored = 2 * f > places;
    std::complex<double> w = weight[static_cast<std::size_t>(mirrored ? places - f : f)];
    if (f == 0 || 2 * f == places) {
      w = w.real();  // an inverse real transform does not look at the rest
    }
    spectrum.push_back(sum * (mirrored ? std::conj(w) : w));
  }
  std::vector<double> y;
  for (std::size_t t = 0; t < x.size(); ++t) {
    std::complex<double> sum = 0;
    for (Index f = 0; f < places; ++f) {
      sum += spectrum[static_cast<std::size_t>(f)] *
             std::polar(1.0, turn * static_cast<double>(f) * static_cast<double>(t));
    }
    y.push_back(sum.real() / static_cast<double>(places));
  }
  return y;
}

}  // namespace

TEST_CASE("a sequence filter is a product of Fourier transforms, for even and odd circles") {
  const std::vector<Index> offsets{0, 5, 6, 6, 9};
  for (const Index places : {5, 6}) {
    const SequenceFilter::Config config{.width = 2, .places = places};
    const ParameterTable table = describe<SequenceFilter>(config);
    std::vector<double> weights = simgr_test::random_block(table, 1);
    const auto params = bind<SequenceFilter>(config, weights.data());
    const std::vector<double> x = simgr_test::random_values(9 * 2, 2);
    const MatrixArg<double> rows(x.data(), {9, 2});
    Arena arena;
    cpu::Context ctx{arena};
    SequenceFilter::Cache<double> cache;
    const Matrix<double> y = SequenceFilter::forward(config, params, rows, offsets, cache, ctx);
    for (Index c = 0; c < 2; ++c) {
      std::vector<std::complex<double>> weight;
      for (Index f = 0; f < params.real.rows(); ++f) {
        weight.emplace_back(params.real(f, c), params.imaginary(f, c));
      }
      for (std::size_t s = 0; s + 1 < offsets.size(); ++s) {
        std::vector<double> column;
        for (Index t = offsets[s]; t < offsets[s + 1]; ++t) { column.push_back(rows(t, c)); }
        const std::vector<double> expected = by_transform(weight, column, places);
        for (std::size_t t = 0; t < expected.size(); ++t) {
          CHECK(y(offsets[s] + static_cast<Index>(t), c) ==
                doctest::Approx(expected[t]).epsilon(1e-12));
        }
      }
    }
    const std::vector<Index> without_empty{0, 5, 6, 9};
    const Matrix<double> last =
        SequenceFilter::serve_last(config, params, rows, without_empty, ctx);
    for (Index s = 0; s < 3; ++s) {
      for (Index c = 0; c < 2; ++c) {
        CHECK(last(s, c) ==
              doctest::Approx(y(without_empty[static_cast<std::size_t>(s) + 1] - 1, c))
                  .epsilon(1e-12));
      }
    }
  }
}

TEST_CASE("a sequence filter gives the gradient of every frequency") {
  const std::vector<Index> offsets{0, 2, 3, 7};
  simgr_test::check_sequence_gradients<SequenceFilter>({.width = 3, .places = 5}, offsets, 3);
  simgr_test::check_sequence_gradients<SequenceFilter>({.width = 3, .places = 4}, offsets, 3);
}
