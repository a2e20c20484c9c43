// SPDX-License-Identifier: Apache-2.0
#include <encoder/golden_beam.hpp>
#include <encoder/golden_t5.hpp>

#include <simgr/nn/tree_decoding.hpp>

// Decoding from a T5 model.

namespace simgr_test {

using namespace simgr;

namespace {

using Net = FeedForward<Relu>;
using Decoding = TreeDecoding<Net>;

struct VocabularyDecoder {
  T5Run<Net, float>& run;
  T5Run<Net, float>::Side input;
  Decoding::State<float> state{};

  Index rows() const { return input.padding.sequences(); }
  DigitSupport support() const { return DigitSupport::level; }
  Matrix<float> scaled(Matrix<float> states, cpu::Context& ctx) const {
    scale(ctx, states, static_cast<float>(run.config.scale()));
    return states;
  }
  Matrix<float> embed(std::span<const std::int32_t> tokens, cpu::Context& ctx) const {
    const auto x = ctx.take<float>(static_cast<Index>(tokens.size()), run.config.encoder.width);
    gather_rows(ctx, MatrixArg<float>(run.params.table), tokens, x);
    return x;
  }
  Matrix<const float> begin(cpu::Context& ctx) {
    const Offsets offsets = input.padding.offsets;
    Decoding::begin(run.config.decoder, offsets, state, ctx);
    const Matrix<float> memory =
        T5<Net>::Encoder::forward(run.config.encoder, run.params.encoder, embed(input.ids, ctx),
                                  offsets, {}, run.encoder, ctx);
    Decoding::read(run.config.decoder, run.params.decoder, MatrixArg<float>(memory), state, ctx);
    const std::vector<std::int32_t> starts(static_cast<std::size_t>(rows()), 0);
    return scaled(Decoding::step(run.config.decoder, run.params.decoder, 0, {},
                                 MatrixArg<float>(embed(starts, ctx)), state, ctx),
                  ctx);
  }
  Matrix<const float> step(cpu::Context& ctx, Index depth, std::span<const std::int32_t> parents,
                           std::span<const std::int32_t> chosen) {
    std::vector<std::int32_t> tokens(chosen.begin(), chosen.end());
    for (std::int32_t& token : tokens) { token %= static_cast<std::int32_t>(run.config.tokens); }
    return scaled(Decoding::step(run.config.decoder, run.params.decoder, depth, parents,
                                 MatrixArg<float>(embed(tokens, ctx)), state, ctx),
                  ctx);
  }
  void scores(cpu::Context& ctx, Matrix<const float> queries, Index first,
              Matrix<float> out) const {
    REQUIRE(first % run.config.tokens == 0);
    REQUIRE(out.cols() == run.config.tokens);
    gemm_nt(ctx, queries, run.params.output(), out, Write::assign);
  }
};

std::vector<double> forced(T5Run<Net, double>& run, const std::vector<std::int32_t>& codes,
                           const std::vector<Index>& lengths) {
  const Index longest = static_cast<Index>(codes.size() / lengths.size());
  std::vector<double> sums;
  for (Index row = 0; row < run.input.padding.sequences(); ++row) {
    const auto input = run.row(row);
    for (std::size_t i = 0; i < lengths.size(); ++i) {
      run.bench.arena.reset();
      auto& ctx = run.bench.ctx;
      const auto embed = [&](std::span<const std::int32_t> ids) {
        const auto x = ctx.take<double>(static_cast<Index>(ids.size()), run.config.encoder.width);
        gather_rows(ctx, MatrixArg<double>(run.params.table), ids, x);
        return x;
      };
      std::vector<std::int32_t> read{0};
      for (Index l = 0; l + 1 < lengths[i]; ++l) {
        read.push_back(codes[i * static_cast<std::size_t>(longest) + static_cast<std::size_t>(l)]);
      }
      const std::vector<Index> own{0, lengths[i]};
      const Matrix<double> memory =
          T5<Net>::Encoder::forward(run.config.encoder, run.params.encoder, embed(input.ids),
                                    input.padding.offsets, {}, run.encoder, ctx);
      const Matrix<double> states =
          T5<Net>::Decoder::forward(run.config.decoder, run.params.decoder, embed(read), own,
                                    {memory, input.padding.offsets}, run.decoder, ctx);
      scale(ctx, states, run.config.scale());
      const Matrix<double> logits = ctx.take<double>(states.rows(), run.config.tokens);
      gemm_nt(ctx, states, run.params.output(), logits, Write::assign);
      double sum = 0;
      for (Index l = 0; l < lengths[i]; ++l) {
        const Index token =
            codes[i * static_cast<std::size_t>(longest) + static_cast<std::size_t>(l)];
        sum += logits(l, token) - log_sum_exp(ctx, logits.row(l));
      }
      sums.push_back(sum);
    }
  }
  return sums;
}

struct Speller {
  T5Run<Net, float> run;
  T5Run<Net, double> in_double;

  explicit Speller(GoldenModel& model) : run(model), in_double(model) {
    GoldenCase& inputs = model.file("inputs");
    run.bench.ctx.training = in_double.bench.ctx.training = false;
    run.input = T5Run<Net, float>::side(inputs, "input_ids", "lengths");
    in_double.input = {run.input.padding, run.input.ids};
    inputs.tensor<std::int64_t>("attention_mask");  // says what lengths say
  }
  Index tokens() const { return run.config.tokens; }
  Index rows() const { return run.input.padding.sequences(); }
  VocabularyDecoder all() { return {run, run.input}; }
  VocabularyDecoder of_row(Index row) { return {run, run.row(row)}; }
  std::vector<double> forced(const std::vector<std::int32_t>& codes,
                             const std::vector<Index>& lengths) {
    return simgr_test::forced(in_double, codes, lengths);
  }
};

}  // namespace

void check_t5_beam(GoldenModel& model);
void check_t5_beam(GoldenModel& model) {
  Speller speller(model);
  check_spelling(model, speller);
}

}  // namespace simgr_test
