// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <limits>
#include <vector>

#include <simgr/core/op_tags.hpp>

// Oracles: the slow and obvious way, with padding and masks, in double.

namespace simgr_test {

using simgr::Index;

/// Right-padded [sequences, longest, width] out of packed [tokens, width]; padding is `filler`,
/// which must reach no result.
inline std::vector<double> padded(const std::vector<double>& packed,
                                  const std::vector<Index>& offsets, Index longest, Index width,
                                  double filler) {
  const auto sequences = static_cast<Index>(offsets.size()) - 1;
  std::vector<double> out(static_cast<std::size_t>(sequences * longest * width), filler);
  for (Index s = 0; s < sequences; ++s) {
    const Index first = offsets[static_cast<std::size_t>(s)];
    const Index length = offsets[static_cast<std::size_t>(s) + 1] - first;
    for (Index k = 0; k < length * width; ++k) {
      out[static_cast<std::size_t>(s * longest * width + k)] =
          packed[static_cast<std::size_t>(first * width + k)];
    }
  }
  return out;
}

/// Attention over padded sequences with a mask of -infinity; rows at padding are left zero.
///
///   y = softmax(q k' / sqrt(head width) + mask) v
///
/// Shapes  q, k, v, y [sequences, longest, heads · head width]
inline std::vector<double> masked_attention(const std::vector<double>& q,
                                            const std::vector<double>& k,
                                            const std::vector<double>& v,
                                            const std::vector<Index>& lengths, Index longest,
                                            simgr::HeadShape shape, bool causal) {
  const Index query_width = shape.heads * shape.width, key_width = shape.kv_heads * shape.width;
  const auto at = [&](const std::vector<double>& x, Index width, Index s, Index t, Index column) {
    return x[static_cast<std::size_t>((s * longest + t) * width + column)];
  };
  std::vector<double> y(q.size(), 0.0);
  for (std::size_t s = 0; s < lengths.size(); ++s) {
    const auto sequence = static_cast<Index>(s);
    for (Index h = 0; h < shape.heads; ++h) {
      const Index head = h * shape.width, key_head = shape.kv(h) * shape.width;
      for (Index i = 0; i < lengths[s]; ++i) {
        std::vector<double> weight(static_cast<std::size_t>(longest));
        double largest = -std::numeric_limits<double>::infinity(), sum = 0;
        for (Index j = 0; j < longest; ++j) {
          double dot = 0;
          for (Index c = 0; c < shape.width; ++c) {
            dot += at(q, query_width, sequence, i, head + c) *
                   at(k, key_width, sequence, j, key_head + c);
          }
          const bool visible = j < lengths[s] && (!causal || j <= i);
          weight[static_cast<std::size_t>(j)] =
              visible ? dot / std::sqrt(static_cast<double>(shape.width))
                      : -std::numeric_limits<double>::infinity();
          largest = std::max(largest, weight[static_cast<std::size_t>(j)]);
        }
        for (double& w : weight) { sum += w = std::exp(w - largest); }
        for (Index c = 0; c < shape.width; ++c) {
          double mixed = 0;
          for (Index j = 0; j < longest; ++j) {
            const double w = weight[static_cast<std::size_t>(j)];
            mixed += w > 0 ? w * at(v, key_width, sequence, j, key_head + c) : 0;
          }
          y[static_cast<std::size_t>((sequence * longest + i) * query_width + head + c)] =
              mixed / sum;
        }
      }
    }
  }
  return y;
}

/// Mean over rows of log Σ_i e^s(r,i) - s(r, target_r), by plain sums in long double.
inline double mean_cross_entropy(const std::vector<double>& scores, Index items,
                                 const std::vector<std::int32_t>& targets) {
  long double sum = 0;
  for (std::size_t r = 0; r < targets.size(); ++r) {
    long double partition = 0;
    const double* row = scores.data() + r * static_cast<std::size_t>(items);
    for (Index i = 0; i < items; ++i) { partition += std::exp(static_cast<long double>(row[i])); }
    sum += std::log(partition) - static_cast<long double>(row[targets[r]]);
  }
  return static_cast<double>(sum / static_cast<long double>(targets.size()));
}

}  // namespace simgr_test
