// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include <simgr/cpu/product_tiles.hpp>

// Search for the largest product while the products are still in registers. With short rows it is
// the way to memory and back that costs, not the products.

namespace simgr::SIMGR_ABI::cpu {

namespace detail {

#if defined(__clang__)
#pragma clang attribute push(__attribute__((min_vector_width(512))), apply_to = function)
#endif

using LaneLabels = std::int32_t __attribute__((vector_size(lane_count * sizeof(std::int32_t))));

/// Takes products of `count` keys with lane_count columns into best, second and label.
template <Index count>
[[gnu::always_inline]] inline void merge_keys(const float* keys, const float* offsets,
                                              const std::int32_t* names, const float* columns,
                                              Index stride, Index present, Index width, Lanes& best,
                                              Lanes& second, LaneLabels& label) noexcept {
  Lanes score[count] = {};
  for (Index j = 0; j < width; ++j) {
    Lanes x;
    present == lane_count ? load(x, columns + j * stride)
                          : load_part(x, columns + j * stride, present);
    unrolled<count>([&](auto c) { score[c] += keys[c * width + j] * x; });
  }
  unrolled<count>([&](auto c) {
    const Lanes found = score[c] - offsets[c];
    const LaneLabels better = found > best;
    const Lanes loser = better ? best : found;
    second = loser > second ? loser : second;
    best = better ? found : best;
    label = better ? LaneLabels{} + names[c] : label;
  });
}

/// The same for all keys.
[[gnu::always_inline]] inline void merge_columns(const float* keys, const float* offsets,
                                                 const std::int32_t* names, Index count,
                                                 const float* columns, Index stride, Index present,
                                                 Index width, float* best, float* second,
                                                 std::int32_t* labels) noexcept {
  const auto bytes = static_cast<std::size_t>(present) * sizeof(float);
  Lanes high, low;
  LaneLabels label{};
  load_part(high, best, present);
  load_part(low, second, present);
  std::memcpy(&label, labels, bytes);
  Index c = 0;
  for (; c + 8 <= count; c += 8) {
    merge_keys<8>(keys + c * width, offsets + c, names + c, columns, stride, present, width, high,
                  low, label);
  }
  for (; c < count; ++c) {
    merge_keys<1>(keys + c * width, offsets + c, names + c, columns, stride, present, width, high,
                  low, label);
  }
  std::memcpy(best, &high, bytes);
  std::memcpy(second, &low, bytes);
  std::memcpy(labels, &label, bytes);
}

#if defined(__clang__)
#pragma clang attribute pop
#endif

}  // namespace detail

/// Takes score(c) = keys(c) · x - offsets[c] of every column x and key c into what is found so far:
/// the best score, its label names[c], and the best score of all other keys. Of equal scores the
/// earlier key stays.
///
/// Shapes  keys [count, width];  offsets, names [count];  columns [width, rows];
///         best, second, labels [rows]
/// Cost    rows · count · width multiply-adds; made for widths up to about 64
inline void merge_nearest_products(MatrixArg<float> keys, const float* offsets,
                                   const std::int32_t* names, MatrixArg<float> columns,
                                   Vector<float> best, Vector<float> second,
                                   Vector<std::int32_t> labels) noexcept {
  using namespace detail;
  SIMGR_ASSERT(keys.cols() == columns.rows() && best.size() == columns.cols(),
               "merge_nearest_products: shapes");
  const Index rows = columns.cols(), width = keys.cols(), whole = rows / lane_count * lane_count;
  for (Index r = 0; r < whole; r += lane_count) {
    merge_columns(keys.data(), offsets, names, keys.rows(), columns.data() + r, rows, lane_count,
                  width, best.data() + r, second.data() + r, labels.data() + r);
  }
  if (whole < rows) {
    merge_columns(keys.data(), offsets, names, keys.rows(), columns.data() + whole, rows,
                  rows - whole, width, best.data() + whole, second.data() + whole,
                  labels.data() + whole);
  }
}

}  // namespace simgr::SIMGR_ABI::cpu
