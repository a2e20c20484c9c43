// SPDX-License-Identifier: Apache-2.0
#include <simgr/tokenizer/balanced_kmeans.hpp>

#include <algorithm>

#include <doctest/doctest.h>

using simgr::Index;
using namespace simgr::tokenizer;

TEST_CASE("balanced k-means finds groups of equal size, and is even where they are not") {
  // Four groups of ten far apart, then three of them with twenty and the last with ten.
  for (const std::vector<Index>& sizes : {std::vector<Index>{10, 10, 10, 10}, {20, 20, 20, 10}}) {
    simgr::OwnedMatrix<float> x(0, 2);
    std::vector<Index> group;
    simgr::Rng rng(1);
    for (std::size_t g = 0; g < 4; ++g) {
      for (Index i = 0; i < sizes[g]; ++i, ++x.rows) {
        x.values.push_back(static_cast<float>(10.0 * static_cast<double>(g / 2) + rng.normal()));
        x.values.push_back(static_cast<float>(10.0 * static_cast<double>(g % 2) + rng.normal()));
        group.push_back(static_cast<Index>(g));
      }
    }
    const KMeans found = balanced_kmeans(x, {.codes = 4, .seed = 3});
    std::vector<Index> counts(4);
    Index together = 0;
    for (std::size_t i = 0; i < group.size(); ++i) {
      ++counts[static_cast<std::size_t>(found.labels[i])];
      for (std::size_t j = 0; j < i; ++j) {
        together += found.labels[i] == found.labels[j] && group[i] == group[j] ? 1 : 0;
      }
    }
    const auto [least, most] = std::minmax_element(counts.begin(), counts.end());
    CHECK(*most - *least <= 1);
    if (sizes[0] == 10) {
      CHECK(together == 4 * 45);  // every pair of a group
      CHECK(*most == 10);
    }
  }
  CHECK_THROWS_AS(balanced_kmeans(simgr::OwnedMatrix<float>(0, 2)), simgr::DataError);
}
