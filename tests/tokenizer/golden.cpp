// SPDX-License-Identifier: Apache-2.0
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

}  // namespace

TEST_SUITE("golden") {
  TEST_CASE("residual k-means reproduces the reference after every stored iteration") {
    simgr_test::GoldenFamily family("quantiser");
    for (simgr_test::GoldenCase& golden : family.cases()) {
      if (golden.has("input.level0.start_rows")) {
        check_residual_kmeans(golden);
      } else if (golden.has("param.rotation")) {
        golden.still_to_come("product quantisation with a rotation");
      }
    }
  }
}
