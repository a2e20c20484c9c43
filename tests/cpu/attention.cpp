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
