// SPDX-License-Identifier: Apache-2.0
#include <simgr/cpu/softmax_tiles.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include <doctest/doctest.h>

#include <support/gradient_check.hpp>

#include <simgr/cpu/catalogue_softmax.hpp>

namespace {

using namespace simgr;

std::vector<float> some(Index count, std::uint64_t seed, double size) {
  std::vector<float> values;
  for (const double value : simgr_test::random_values(count, seed)) {
    values.push_back(static_cast<float>(size * value));
  }
  return values;
}

std::size_t at(Index index) {
  return static_cast<std::size_t>(index);
}

struct Softmax {
  Index rows, items, width;
  std::vector<float> queries, keys;
  std::vector<std::int32_t> targets;
  float weight;

  Softmax(Index rows_, Index items_, Index width_, double size)
      : rows(rows_), items(items_), width(width_), queries(some(rows * width, 1, size)),
        keys(some(items * width, 2, size)), weight(1.0f / static_cast<float>(rows)) {
    for (Index r = 0; r < rows; ++r) {
      targets.push_back(static_cast<std::int32_t>(r * 7 % items));
    }
  }

  struct Result {
    double loss;
    std::vector<float> dqueries, dkeys;
  };
  Result by(MatMul matmul) const {
    Result result{0, std::vector<float>(queries.size()), std::vector<float>(keys.size(), 0.5f)};
    Arena arena;
    cpu::Context ctx{.arena = arena, .training = true, .matmul = matmul};
    result.loss = cpu::catalogue_cross_entropy<float>(
        ctx, {queries.data(), {rows, width}}, {keys.data(), {items, width}}, targets, weight,
        1 << 20, {result.dqueries.data(), {rows, width}}, {result.dkeys.data(), {items, width}});
    return result;
  }
  /// In double, one pair after the other.
  Result naive() const {
    std::vector<double> dq(queries.size()), dk(keys.size(), 0.5);
    double loss = 0;
    for (Index r = 0; r < rows; ++r) {
      std::vector<double> score(at(items));
      for (Index i = 0; i < items; ++i) {
        for (Index c = 0; c < width; ++c) {
          score[at(i)] += static_cast<double>(queries[at(r * width + c)]) *
                          static_cast<double>(keys[at(i * width + c)]);
        }
      }
      const double most = *std::max_element(score.begin(), score.end());
      double sum = 0;
      for (const double s : score) { sum += std::exp(s - most); }
      loss += most + std::log(sum) - score[at(targets[at(r)])];
      for (Index i = 0; i < items; ++i) {
        const double p = std::exp(score[at(i)] - most) / sum - (i == targets[at(r)] ? 1 : 0);
        for (Index c = 0; c < width; ++c) {
          const double share = static_cast<double>(weight) * p;
          dq[at(r * width + c)] += share * static_cast<double>(keys[at(i * width + c)]);
          dk[at(i * width + c)] += share * static_cast<double>(queries[at(r * width + c)]);
        }
      }
    }
    return {loss, {dq.begin(), dq.end()}, {dk.begin(), dk.end()}};
  }
};

double gap(const std::vector<float>& a, const std::vector<float>& b) {
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
  }
  return largest;
}

}  // namespace

TEST_CASE(
    "the softmax on tiles gives loss and gradients of the naive one, as near as bfloat16 is") {
  for (const auto& shape : {std::array<Index, 3>{32, 32, 32},
                            {33, 70, 40},
                            {64, 129, 64},
                            {150, 300, 100},
                            {700, 65, 33},
                            {530, 400, 64}}) {
    for (const double size : {0.3, 1.5}) {  // the larger one needs the maximum of each row
      CAPTURE(shape[0]);
      CAPTURE(shape[1]);
      CAPTURE(shape[2]);
      CAPTURE(size);
      const Softmax softmax(shape[0], shape[1], shape[2], size);
      const auto expected = softmax.naive(), found = softmax.by(MatMul::bf16);
      // A score is off by 2^-9 of each of its factors' products, a probability by as much as that.
      const double off = std::sqrt(static_cast<double>(shape[2])) * size * size / 256,
                   largest = 4 * size * static_cast<double>(softmax.weight);
      CHECK(std::abs(found.loss - expected.loss) < off * static_cast<double>(shape[0]));
      CHECK(gap(found.dqueries, expected.dqueries) < largest * (off + 0.01));
      CHECK(gap(found.dkeys, expected.dkeys) < largest * 4 * (off + 0.01));
      if (cpu::has_tiles()) {
        CHECK(gap(found.dqueries, expected.dqueries) > largest * 1e-6);
      }
    }
  }
}

TEST_CASE("a share of a softmax is lost nowhere: gradients of all keys cancel") {
  const Softmax softmax(200, 500, 64, 0.5);
  const auto found = softmax.by(MatMul::bf16);
  for (Index c = 0; c < softmax.width; ++c) {
    double sum = 0, size = 0;
    for (Index i = 0; i < softmax.items; ++i) {
      const double own = static_cast<double>(found.dkeys[at(i * softmax.width + c)]) - 0.5;
      sum += own;
      size += std::abs(own);
    }
    CHECK(std::abs(sum) < 0.01 * size);
  }
}

TEST_CASE("two bfloat16 a number are not asked of the softmax: its numbers are those of fp32") {
  const Softmax softmax(64, 100, 32, 0.5);
  const auto split = softmax.by(MatMul::bf16x3), plain = softmax.by(MatMul::fp32);
  CHECK(split.loss == plain.loss);
  CHECK(split.dkeys == plain.dkeys);
}

TEST_CASE("a query or key that is not finite shows in the loss") {
  for (const float bad :
       {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    Softmax query(64, 100, 32, 0.5), key = query;
    query.queries[70] = bad;
    key.keys[70] = bad;
    CHECK_FALSE(std::isfinite(query.by(MatMul::bf16).loss));
    CHECK_FALSE(std::isfinite(key.by(MatMul::bf16).loss));
  }
}
