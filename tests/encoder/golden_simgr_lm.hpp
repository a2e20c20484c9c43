// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <encoder/golden_causal_lm.hpp>

// SimGR end to end over a language model, of the family models/.

namespace simgr_test {

/// SimGR over a language model: prompts and items are token rows, the score is a cosine.
template <class T>
struct SimGrRun : CausalRun<Llama, T> {
  std::vector<std::int32_t> item_tokens, targets;
  Index digits = 0;
  double temperature = 1;
  bool encoded;  // variant B
  Padding items;
  typename Llama::template Cache<T> item_cache;
  Matrix<T> users, vectors, scores;

  SimGrRun(GoldenModel& model, bool of_b) : CausalRun<Llama, T>(model), encoded(of_b) {
    GoldenCase& inputs = model.file("inputs");
    item_tokens = inputs.tensor<std::int32_t>("item_token_ids");
    digits = inputs.shape("item_token_ids")[1];
    targets = inputs.tensor<std::int32_t>("targets");
    // Stored as float; the decimal number was computed with.
    temperature = std::round(inputs.scalar<double>("tau") * 1e6) / 1e6;
    inputs.tensor<std::int32_t>("item_codes");  // what item_token_ids are made of
    for (Index i = 0; i < inputs.shape("item_token_ids")[0]; ++i) {
      items.offsets.push_back((i + 1) * digits);
    }
  }
  void step() {
    this->encode();
    auto& ctx = this->bench.ctx;
    const auto& sizes = this->config.encoder;
    const auto& weights_of = this->params.encoder;
    const auto& gradients_of = this->grads.encoder;
    const Index width = sizes.width, count = items.sequences(), rows = this->padding.sequences();
    const std::span<const std::int32_t> tokens(item_tokens);
    std::vector<std::int32_t> last;
    for (std::size_t s = 0; s + 1 < this->padding.offsets.size(); ++s) {
      last.push_back(static_cast<std::int32_t>(this->padding.offsets[s + 1] - 1));
    }
    users = ctx.template take<T>(rows, width);
    gather_rows(ctx, MatrixArg<T>(this->states), std::span<const std::int32_t>(last), users);

    Matrix<T> read = ctx.template take<T>(count * digits, width);
    if (encoded) {
      read = Llama::forward(sizes, weights_of, weights_of.embedding.table, this->tokens(),
                            {tokens, Offsets(items.offsets)}, item_cache, ctx);
    } else {
      gather_rows(ctx, MatrixArg<T>(weights_of.embedding.table), tokens, read);
    }
    vectors = ctx.template take<T>(count, width);
    const T share = T(1) / static_cast<T>(digits);
    for (Index i = 0; i < count; ++i) {
      for (Index x = 0; x < width; ++x) {
        T sum = 0;
        for (Index l = 0; l < digits; ++l) { sum += read(i * digits + l, x); }
        vectors(i, x) = sum * share;
      }
    }
    const auto unit = [&](MatrixArg<T> x) {
      const Matrix<T> y = ctx.template take<T>(x.rows(), width);
      const Vector<T> inverse = ctx.template take<T>(x.rows());
      normalise_rows(ctx, x, T(1), y, inverse);
      return std::pair(y, inverse);
    };
    const auto [user, user_scale] = unit(users);
    const auto [item, item_scale] = unit(vectors);
    scores = ctx.template take<T>(rows, count);
    gemm_nt(ctx, user, item, scores, Write::assign);
    scale(ctx, scores, static_cast<T>(1 / temperature));
    const Matrix<T> dscores = ctx.template take<T>(rows, count);
    copy(ctx, scores, dscores, Write::assign);
    this->loss = 0;
    for (Index i = 0; i < rows; ++i) {
      this->loss += cross_entropy_row(ctx, dscores.row(i), targets[static_cast<std::size_t>(i)],
                                      T(1) / static_cast<T>(rows)) /
                    static_cast<double>(rows);
    }
    scale(ctx, dscores, static_cast<T>(1 / temperature));
    // y = x / |x|:  dx = (dy - y (y · dy)) / |x|
    const auto through = [&](Matrix<T> dy, Matrix<T> y, Vector<T> inverse) {
      for (Index i = 0; i < dy.rows(); ++i) {
        T along = 0;
        for (Index x = 0; x < width; ++x) { along += dy(i, x) * y(i, x); }
        for (Index x = 0; x < width; ++x) { dy(i, x) = (dy(i, x) - y(i, x) * along) * inverse[i]; }
      }
      return dy;
    };
    Matrix<T> duser = ctx.template take<T>(rows, width), ditem = ctx.template take<T>(count, width);
    gemm_nn(ctx, dscores, item, duser, Write::assign);
    gemm_tn(ctx, dscores, user, ditem, Write::assign);
    duser = through(duser, user, user_scale);
    ditem = through(ditem, item, item_scale);
    const Matrix<T> dstates = ctx.template take<T>(this->states.rows(), width);
    fill(ctx, dstates, T(0));
    for (Index s = 0; s < rows; ++s) {
      copy(ctx, duser.row(s), dstates.row(last[static_cast<std::size_t>(s)]), Write::assign);
    }
    Llama::backward(sizes, weights_of, gradients_of, dstates, gradients_of.embedding.table,
                    this->cache, ctx);
    const Matrix<T> dread = ctx.template take<T>(count * digits, width);
    for (Index row = 0; row < dread.rows(); ++row) {
      copy(ctx, ditem.row(row / digits), dread.row(row), Write::assign);
    }
    scale(ctx, dread, share);
    if (encoded) {
      Llama::backward(sizes, weights_of, gradients_of, dread, gradients_of.embedding.table,
                      item_cache, ctx);
    } else {
      scatter_add_rows(ctx, dread, tokens, T(1), gradients_of.embedding.table);
    }
  }
};

/// The folders of both variants hold the same files. Which one it is, the item vectors say: those of
/// A are means of rows of the table.
template <class T>
void check_simgr_lm(GoldenModel& model) {
  GoldenCase& outputs = model.file("outputs");
  const std::vector<T> stored = outputs.tensor<T>("item_vectors");
  SimGrRun<T> run(model, false);
  run.step();
  T gap = 0;
  for (std::size_t i = 0; i < stored.size(); ++i) {
    gap = std::max(gap, std::abs(stored[i] - run.vectors.data()[i]));
  }
  run.encoded = gap > T(1e-3);
  run.step();
  meets_model<T>(model, outputs, "user_states", std::span<const T>(run.users.span()), false);
  meets_model<T>(model, outputs, "item_vectors", std::span<const T>(run.vectors.span()), false);
  meets_model<T>(model, outputs, "logits", std::span<const T>(run.scores.span()), false);
  meets_loss_of<T>(model, run);
  meets_gradients(model, run);
  meets_three_steps(model, run);
}

}  // namespace simgr_test
