// SPDX-License-Identifier: Apache-2.0
#include <simgr/tokenizer/product_quantizer.hpp>
#include <simgr/tokenizer/residual_kmeans.hpp>

#include <charconv>

#include <support/golden.hpp>

using simgr::Index;
using namespace simgr::tokenizer;

namespace {

/// The iteration counts of which a case holds snapshots.
std::vector<Index> snapshots(const simgr_test::GoldenCase& golden) {
  const std::string prefix = "output.level0.labels_after";
  std::vector<Index> counts;
  for (const std::string& name : golden.tensors(prefix)) {
    Index count = 0;
    std::from_chars(name.data() + prefix.size(), name.data() + name.size(), count);
    counts.push_back(count);
  }
  return counts;
}

void check_residual_kmeans(simgr_test::GoldenCase& golden) {
  const auto x = golden.matrix<float>("input.x");
  const Index levels = golden.integer("levels"), codes = golden.integer("codes");
  const bool normalise = golden.flag("normalise_residuals");
  simgr::OwnedMatrix<Index> starts(levels, codes);
  for (Index level = 0; level < levels; ++level) {
    const auto rows =
        golden.tensor<std::int64_t>("input.level" + std::to_string(level) + ".start_rows");
    REQUIRE(std::ssize(rows) == codes);
    std::copy(rows.begin(), rows.end(), starts.view().row(level).begin());
  }
  const ResidualKMeans found = fit_residual_kmeans(x,
                                                   {.levels = levels,
                                                    .codes = codes,
                                                    .iterations = golden.integer("iterations"),
                                                    .normalise_residuals = normalise},
                                                   starts);
  golden.check("output.codes", found.ids.codes.values, 0);
  golden.check("output.codes", found.quantizer.encode(x).values, 0);
  if (normalise) {
    golden.not_compared("output.reconstruction_error",
                        "stored as 0 where residuals are normalised");
  } else {
    golden.check("output.reconstruction_error", found.error.back(), 1e-5);
  }

  simgr::OwnedMatrix<float> residual = x;
  for (Index level = 0; level < levels; ++level) {
    const std::string at = "output.level" + std::to_string(level) + ".";
    found.quantizer.begin_level(residual.view());
    golden.check(at + "residual_in", residual.values, 1e-5);
    const auto run = [&](Index iterations) {
      return kmeans(residual, {.codes = codes, .iterations = iterations},
                    starts.view().row(level).span());
    };
    for (const Index count : snapshots(golden)) {
      const std::string n = std::to_string(count);
      const KMeans after = run(count);
      golden.check(at + "centroids_after" + n, after.centroids.values, 1e-5);
      golden.check(at + "labels_after" + n, after.labels, 0);
      golden.check(at + "labels_used" + n, run(count - 1).labels, 0);
      golden.check(at + "inertia_after" + n, after.inertia, 1e-5);
    }
    for (Index item = 0; item < x.rows; ++item) {
      found.quantizer.subtract(level, found.ids.codes.view()(item, level),
                               residual.view().row(item));
    }
  }
}

/// The codes where no second centroid is nearly as near.
void check_codes(simgr_test::GoldenCase& golden, const std::string& name,
                 const simgr::OwnedMatrix<std::int32_t>& codes, const std::vector<double>& margin) {
  const auto stored = golden.tensor<std::int64_t>(name);
  REQUIRE(stored.size() == codes.values.size());
  std::size_t compared = 0, wrong = 0;
  for (std::size_t i = 0; i < stored.size(); ++i) {
    const bool clear = margin.empty() || margin[i] > 1e-5;
    compared += clear ? 1 : 0;
    wrong += clear && stored[i] != codes.values[i] ? 1 : 0;
  }
  INFO(golden.name(), ": ", name);
  CHECK(wrong == 0);
  CHECK(compared > stored.size() * 99 / 100);
}

/// Codebooks of a tensor [digits, codes, part].
std::vector<simgr::OwnedMatrix<float>> codebooks_of(simgr_test::GoldenCase& golden,
                                                    const std::string& name) {
  const auto shape = golden.shape(name);
  const auto values = golden.tensor<float>(name);
  REQUIRE(shape.size() == 3);
  std::vector<simgr::OwnedMatrix<float>> codebooks;
  for (Index digit = 0; digit < shape[0]; ++digit) {
    auto& codebook = codebooks.emplace_back(shape[1], shape[2]);
    std::copy_n(values.begin() + digit * shape[1] * shape[2], shape[1] * shape[2],
                codebook.values.begin());
  }
  return codebooks;
}

double distance_to_decoded(const simgr::OwnedMatrix<float>& y, const ProductQuantizer& quantizer,
                           const simgr::OwnedMatrix<std::int32_t>& codes) {
  const auto decoded = quantizer.decode(codes);
  double sum = 0;
  for (std::size_t i = 0; i < y.values.size(); ++i) {
    const double gap = static_cast<double>(y.values[i]) - static_cast<double>(decoded.values[i]);
    sum += gap * gap;
  }
  return sum / static_cast<double>(y.rows);
}

void check_product_quantizer(simgr_test::GoldenCase& golden) {
  const auto x = golden.matrix<float>("input.x");
  const ProductQuantizer rotated{golden.matrix<float>("param.rotation"),
                                 codebooks_of(golden, "param.centroids")};
  const auto y = rotated.rotate(x);
  golden.check("output.rotated", y.values, 1e-6);
  const auto codes = rotated.encode(x);
  check_codes(golden, "output.codes", codes, golden.tensor<double>("output.margin"));
  const auto decoded = rotated.decode(golden.matrix<std::int32_t>("output.codes"));
  golden.check("output.decoded", decoded.values, 0);
  // Back by the transposed rotation, which is what rotating with it does.
  ProductQuantizer back = rotated;
  for (Index i = 0; i < back.rotation.rows; ++i) {
    for (Index j = 0; j < back.rotation.cols; ++j) {
      back.rotation.view()(i, j) = rotated.rotation.view()(j, i);
    }
  }
  golden.check("output.decoded_back", back.rotate(decoded).values, 1e-6);
  golden.check("output.error_opq", distance_to_decoded(y, rotated, codes), 1e-5);

  const ProductQuantizer plain{{}, codebooks_of(golden, "param.plain_centroids")};
  const auto plain_codes = plain.encode(x);
  check_codes(golden, "output.plain_codes", plain_codes, {});
  golden.check("output.error_plain", distance_to_decoded(x, plain, plain_codes), 1e-5);

  // Fitted here, with as many iterations as the reference had, the codes are at least as good.
  const auto fitted = fit_product_quantizer(
      x, {.digits = rotated.digits(), .codes = rotated.codebooks[0].rows, .rotations = 10});
  INFO(golden.name());
  CHECK(fitted.error.back() <= 1.01 * golden.scalar<double>("output.error_opq"));
}

}  // namespace

TEST_SUITE("golden") {
  TEST_CASE("residual k-means and product quantisation reproduce the reference") {
    simgr_test::GoldenFamily family("quantiser");
    for (simgr_test::GoldenCase& golden : family.cases()) {
      if (golden.has("input.level0.start_rows")) {
        check_residual_kmeans(golden);
      } else if (golden.has("param.rotation")) {
        check_product_quantizer(golden);
      }
    }
  }
}
