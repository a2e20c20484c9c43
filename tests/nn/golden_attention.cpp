// SPDX-License-Identifier: Apache-2.0
#include <nn/golden.hpp>

#include <simgr/nn/rotary.hpp>
#include <simgr/pooler/sequence.hpp>

using namespace simgr;

namespace simgr_test {

namespace {

/// A padded tensor as a packed matrix.
template <class T>
OwnedMatrix<T> packed(GoldenCase& golden, const std::string& name, const Padding& padding) {
  OwnedMatrix<T> matrix;
  matrix.values = padding.pack(golden.tensor<T>(name));
  matrix.rows = padding.tokens();
  matrix.cols = static_cast<Index>(matrix.values.size()) / matrix.rows;
  return matrix;
}

template <class T>
void meets_padded(GoldenCase& golden, const std::string& name, const Padding& padding,
                  const OwnedMatrix<T>& found) {
  meets(golden, name, padding.unpack(std::span<const T>(found.values)));
}

template <class T, class Mask>
void check_mask(GoldenCase& golden, Mask mask) {
  Bench bench;
  const Padding padding(golden, "input.q");
  const HeadShape shape{golden.integer("heads"), golden.integer("kv_heads"),
                        golden.integer("head_width")};
  const OwnedMatrix<T> q = packed<T>(golden, "input.q", padding),
                       k = packed<T>(golden, "input.k", padding),
                       v = packed<T>(golden, "input.v", padding),
                       dy = packed<T>(golden, "input.upstream", padding);
  OwnedMatrix<T> y(q.rows, q.cols), dq(q.rows, q.cols), dk(k.rows, k.cols), dv(v.rows, v.cols);
  const Vector<T> probabilities =
      bench.ctx.take<T>(probability_count(padding.offsets, shape.heads));
  attention(bench.ctx, mask, Columns<const T>{q.view()}, Columns<const T>{k.view()},
            Columns<const T>{v.view()}, padding.offsets, shape, 0.0f, 0, probabilities, y.view());
  meets_padded(golden, "output.y", padding, y);
  attention_backward(bench.ctx, Columns<const T>{q.view()}, Columns<const T>{k.view()},
                     Columns<const T>{v.view()}, padding.offsets, shape, 0.0f, 0, probabilities,
                     dy.view(), Columns<T>{dq.view()}, Columns<T>{dk.view()},
                     Columns<T>{dv.view()});
  meets_padded(golden, "grad.q", padding, dq);
  meets_padded(golden, "grad.k", padding, dk);
  meets_padded(golden, "grad.v", padding, dv);
  meets_loss<T>(golden, dot<T>(y.values, dy.values));
}

template <class T>
void check_rotary(GoldenCase& golden) {
  Bench bench;
  const RotaryPosition::Config config{golden.integer("head_width"),
                                      {.theta = golden.number("theta")}};
  const std::vector<std::int32_t> positions = golden.tensor<std::int32_t>("input.positions");
  const OwnedMatrix<T> x = golden.matrix<T>("input.x"), dy = golden.matrix<T>("input.upstream");
  RotaryPosition::Cache<T> cache;
  const Matrix<T> y =
      RotaryPosition::forward(config, RotaryPosition::Params<T>{}, x.view(),
                              std::span<const std::int32_t>(positions), cache, bench.ctx);
  meets(golden, "output.y", y);
  meets(golden, "grad.x",
        RotaryPosition::backward(config, RotaryPosition::Params<T>{}, RotaryPosition::Params<T>{},
                                 dy.view(), cache, bench.ctx));
  meets_loss<T>(golden, dot<T>(y.span(), dy.view().span()));
}

template <class T>
void check_mean(GoldenCase& golden) {
  Bench bench;
  const Padding padding(golden, "input.x");
  const OwnedMatrix<T> x = packed<T>(golden, "input.x", padding),
                       dy = golden.matrix<T>("input.upstream");
  const PoolerShape shape{x.cols, 1};
  SequenceMean::Cache<T> cache;
  const Matrix<T> y = SequenceMean::forward(shape, SequenceMean::Params<T>{}, x.view(),
                                            padding.offsets, cache, bench.ctx);
  meets(golden, "output.y", y);
  const Matrix<T> dx =
      SequenceMean::backward(shape, SequenceMean::Params<T>{}, SequenceMean::Params<T>{}, dy.view(),
                             padding.offsets, cache, bench.ctx);
  meets(golden, "grad.x", padding.unpack(std::span<const T>(dx.span())));
  meets_loss<T>(golden, dot<T>(y.span(), dy.view().span()));
}

}  // namespace

void check_attention(GoldenCase& golden) {
  in_both([&]<class T>(T) {
    if (golden.has("input.positions")) {
      check_rotary<T>(golden);
    } else if (!golden.has("input.q")) {
      check_mean<T>(golden);
    } else if (golden.flag("causal")) {
      check_mask<T>(golden, Causal{});
    } else {
      check_mask<T>(golden, Bidirectional{});
    }
  });
}

}  // namespace simgr_test
