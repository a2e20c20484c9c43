// SPDX-License-Identifier: Apache-2.0
#include <simgr/cpu/nearest_products.hpp>

#include <limits>
#include <numeric>
#include <vector>

#include <doctest/doctest.h>

#include <simgr/core/rng.hpp>

using simgr::Index;

TEST_CASE("the best and the second best product of every column, for any shape") {
  simgr::Rng rng(5);
  for (const Index rows : {1, 7, 16, 33, 240}) {
    for (const Index count : {1, 7, 8, 29}) {
      for (const Index width : {1, 3, 12, 48}) {
        // Small whole numbers: products are exact, and equal scores are frequent.
        std::vector<float> keys(static_cast<std::size_t>(count * width)),
            columns(static_cast<std::size_t>(width * rows)),
            offsets(static_cast<std::size_t>(count));
        for (auto* values : {&keys, &columns, &offsets}) {
          for (float& value : *values) { value = static_cast<float>(rng.below(5) - 2); }
        }
        std::vector<std::int32_t> names(static_cast<std::size_t>(count)),
            labels(static_cast<std::size_t>(rows), 1000);
        std::iota(names.begin(), names.end(), 20);
        const float none = -std::numeric_limits<float>::infinity();
        std::vector<float> best(static_cast<std::size_t>(rows), none), second = best;
        best[0] = 1;  // a find of before, of label 1000
        simgr::cpu::merge_nearest_products({keys.data(), {count, width}}, offsets.data(),
                                           names.data(), {columns.data(), {width, rows}},
                                           {best.data(), {rows}}, {second.data(), {rows}},
                                           {labels.data(), {rows}});
        for (Index r = 0; r < rows; ++r) {
          float high = r == 0 ? 1.0f : none, low = none;
          std::int32_t label = 1000;
          for (Index c = 0; c < count; ++c) {
            float score = -offsets[static_cast<std::size_t>(c)];
            for (Index j = 0; j < width; ++j) {
              score += keys[static_cast<std::size_t>(c * width + j)] *
                       columns[static_cast<std::size_t>(j * rows + r)];
            }
            if (score > high) {
              low = high;
              high = score;
              label = names[static_cast<std::size_t>(c)];
            } else {
              low = std::max(low, score);
            }
          }
          const auto i = static_cast<std::size_t>(r);
          REQUIRE(best[i] == high);
          REQUIRE(second[i] == low);
          REQUIRE(labels[i] == label);
        }
      }
    }
  }
}
