// SPDX-License-Identifier: Apache-2.0
#include <simgr/cpu/attention.hpp>

#include <support/gradient_check.hpp>
#include <support/reference.hpp>

using namespace simgr;

namespace {

const std::vector<Index> ragged{0, 3, 4, 11};
const std::vector<Index> lengths{3, 1, 7};

template <class Mask>
std::vector<double> packed_attention(const std::vector<double>& q, const std::vector<double>& k,
                                     const std::vector<double>& v, HeadShape shape, Mask mask) {
  Arena arena;
  cpu::Context ctx{arena};
  const auto view = [&](const std::vector<double>& x) {
    return Columns<const double>{{x.data(), {11, static_cast<Index>(x.size()) / 11}}};
  };
  std::vector<double> y(q.size());
  attention(ctx, mask, view(q), view(k), view(v), ragged, shape, 0.0f, 0,
            ctx.take<double>(probability_count(ragged, shape.heads)),
            Matrix<double>(y.data(), {11, static_cast<Index>(q.size()) / 11}));
  return y;
}

}  // namespace

TEST_CASE_TEMPLATE("packed attention is padded attention with a mask", Mask, Causal,
                   Bidirectional) {
  for (const HeadShape shape : {HeadShape{2, 2, 3}, HeadShape{4, 2, 3}, HeadShape{1, 1, 5}}) {
    const std::vector<double> q = simgr_test::random_values(11 * shape.heads * shape.width, 1),
                              k = simgr_test::random_values(11 * shape.kv_heads * shape.width, 2),
                              v = simgr_test::random_values(11 * shape.kv_heads * shape.width, 3);
    const auto pad = [&](const std::vector<double>& x) {
      return simgr_test::padded(x, ragged, 7, static_cast<Index>(x.size()) / 11, 1e3);
    };
    const std::vector<double> expected = simgr_test::masked_attention(
        pad(q), pad(k), pad(v), lengths, 7, shape, std::is_same_v<Mask, Causal>);
    const std::vector<double> found = packed_attention(q, k, v, shape, Mask{});
    const std::vector<double> placed =
        simgr_test::padded(found, ragged, 7, shape.heads * shape.width, 0);
    REQUIRE(placed.size() == expected.size());
    double worst = 0;
    for (std::size_t i = 0; i < placed.size(); ++i) {
      worst = std::max(worst, std::abs(placed[i] - expected[i]));
    }
    CHECK(worst < 1e-13);
  }
}

TEST_CASE("attention to other sequences, with terms of distances, is the plain sum") {
  const std::vector<Index> queries{0, 3, 4, 6}, keys{0, 2, 7, 8};
  const HeadShape shape{2, 2, 3, false};
  const Index longest = 5;
  const std::vector<double> q = simgr_test::random_values(6 * 6, 1),
                            k = simgr_test::random_values(8 * 6, 2),
                            v = simgr_test::random_values(8 * 6, 3),
                            relative = simgr_test::random_values(2 * (2 * longest - 1), 4);
  Arena arena;
  cpu::Context ctx{arena};
  const auto view = [](const std::vector<double>& x, Index width) {
    return Matrix<const double>(x.data(), {static_cast<Index>(x.size()) / width, width});
  };
  std::vector<double> y(q.size());
  attention(ctx, Bidirectional{}, Columns<const double>{view(q, 6)},
            Columns<const double>{view(k, 6)}, Columns<const double>{view(v, 6)}, queries, keys,
            shape, view(relative, 2 * longest - 1), 0.0f, 0,
            ctx.take<double>(probability_count(queries, keys, shape.heads)),
            Matrix<double>(y.data(), {6, 6}));
  double worst = 0;
  for (std::size_t s = 0; s < 3; ++s) {
    for (Index i = queries[s]; i < queries[s + 1]; ++i) {
      for (Index h = 0; h < 2; ++h) {
        std::vector<double> weights;
        double sum = 0;
        for (Index j = keys[s]; j < keys[s + 1]; ++j) {
          const Index distance = (j - keys[s]) - (i - queries[s]);
          double score = view(relative, 2 * longest - 1)(h, longest - 1 + distance);
          for (Index c = 3 * h; c < 3 * h + 3; ++c) {
            score += view(q, 6)(i, c) * view(k, 6)(j, c);
          }
          sum += weights.emplace_back(std::exp(score));
        }
        for (Index c = 3 * h; c < 3 * h + 3; ++c) {
          double expected = 0;
          for (Index j = keys[s]; j < keys[s + 1]; ++j) {
            expected += weights[static_cast<std::size_t>(j - keys[s])] / sum * view(v, 6)(j, c);
          }
          worst = std::max(worst, std::abs(expected - view(y, 6)(i, c)));
        }
      }
    }
  }
  CHECK(worst < 1e-13);
}

namespace {

/// Of random queries, keys and values: attention(), and attention_of_all(); their largest difference.
template <class T, class Mask>
double gap_of_all(HeadShape shape, const std::vector<Index>& offsets) {
  Arena arena;
  cpu::Context ctx{arena};
  Rng rng(11, 3);
  const Index tokens = offsets.back(), own = shape.heads * shape.width,
              shared = shape.kv_heads * shape.width;
  const auto normal = [&](Index cols) {
    const Matrix<T> x = ctx.take<T>(tokens, cols);
    for (T& value : x) { value = static_cast<T>(rng.normal()); }
    return x;
  };
  const Matrix<T> q = normal(own), kv = normal(2 * shared), y = normal(own), z = normal(own);
  const Columns<const T> queries{q, 0}, keys{kv, 0}, values{kv, shared};
  attention(ctx, Mask{}, queries, keys, values, offsets, shape, 0.0f, 0,
            ctx.take<T>(probability_count(offsets, shape.heads)), y);
  attention_of_all(ctx, Mask{}, queries, keys, values, offsets, shape, z);
  double worst = 0;
  for (Index i = 0; i < y.size(); ++i) {
    const double gap =
        std::abs(static_cast<double>(y.data()[i]) - static_cast<double>(z.data()[i]));
    worst = gap <= worst ? worst : gap;
  }
  return worst;
}

}  // namespace

TEST_CASE("Attention of all positions without a cache is attention") {
  const std::vector<Index> offsets{0, 1, 3, 18, 34, 51, 82, 117};  // 1, 2, 15, 16, 17, 31 and 35
  for (const Index width : {4, 8, 16, 32, 48, 64}) {
    for (const HeadShape& shape :
         {HeadShape{3, 3, width}, HeadShape{4, 2, width}, HeadShape{2, 2, width, false}}) {
      CAPTURE(width);
      CHECK(gap_of_all<double, Bidirectional>(shape, offsets) < 1e-13);
      CHECK(gap_of_all<double, Causal>(shape, offsets) < 1e-13);
      CHECK(gap_of_all<float, Bidirectional>(shape, offsets) < 1e-5);
      CHECK(gap_of_all<float, Causal>(shape, offsets) < 1e-5);
    }
  }
}
