// SPDX-License-Identifier: Apache-2.0
#include <encoder/golden_beam.hpp>
#include <encoder/golden_causal_lm.hpp>

// Decoding from a Qwen2 model: keys and values of a prompt are kept, and shared by its beams.

namespace simgr_test {

namespace {

struct Prompts {
  std::vector<std::int32_t> ids;
  std::vector<Index> offsets;
};

struct CausalDecoder {
  CausalRun<Llama, float>& run;
  Prompts prompts;
  Llama::State<float> state{};

  Index rows() const { return static_cast<Index>(prompts.offsets.size()) - 1; }
  DigitSupport support() const { return DigitSupport::level; }
  Index vocabulary() const { return run.tokens().items; }
  Matrix<const float> begin(cpu::Context& ctx) {
    return Llama::begin(
        run.config.encoder, run.params.encoder, run.params.encoder.embedding.table, run.tokens(),
        {std::span<const ItemId>(prompts.ids), Offsets(prompts.offsets)}, state, ctx);
  }
  Matrix<const float> step(cpu::Context& ctx, Index depth, std::span<const std::int32_t> parents,
                           std::span<const std::int32_t> chosen) {
    std::vector<std::int32_t> tokens(chosen.begin(), chosen.end());
    for (std::int32_t& token : tokens) { token %= static_cast<std::int32_t>(vocabulary()); }
    return Llama::step(run.config.encoder, run.params.encoder, run.params.encoder.embedding.table,
                       depth, parents, tokens, state, ctx);
  }
  void scores(cpu::Context& ctx, Matrix<const float> queries, Index first,
              Matrix<float> out) const {
    REQUIRE(first % vocabulary() == 0);
    REQUIRE(out.cols() == vocabulary());
    gemm_nt(ctx, queries, run.params.output(), out, Write::assign);
  }
};

struct CausalSpeller {
  CausalRun<Llama, float> run;
  CausalRun<Llama, double> in_double;

  explicit CausalSpeller(GoldenModel& model) : run(model), in_double(model) {
    run.bench.ctx.training = in_double.bench.ctx.training = false;
  }
  Index tokens() const { return run.tokens().items; }
  Index rows() const { return run.padding.sequences(); }
  CausalDecoder all() { return {run, {run.ids, run.padding.offsets}}; }
  CausalDecoder of_row(Index row) { return {run, prompt(row, {})}; }
  std::vector<double> forced(const std::vector<std::int32_t>& codes,
                             const std::vector<Index>& lengths) {
    const std::size_t longest = codes.size() / lengths.size();
    std::vector<double> sums;
    for (Index row = 0; row < rows(); ++row) {
      for (std::size_t i = 0; i < lengths.size(); ++i) {
        const auto count = static_cast<std::size_t>(lengths[i]);
        const std::span<const std::int32_t> own(codes.data() + i * longest, count);
        const Prompts read = prompt(row, own.first(count - 1));
        auto& ctx = in_double.bench.ctx;
        in_double.bench.arena.reset();
        const Matrix<double> states = Llama::forward(
            in_double.config.encoder, in_double.params.encoder,
            in_double.params.encoder.embedding.table, in_double.tokens(),
            {std::span<const ItemId>(read.ids), Offsets(read.offsets)}, in_double.cache, ctx);
        const Matrix<double> logits = ctx.take<double>(states.rows(), tokens());
        gemm_nt(ctx, states, in_double.params.output(), logits, Write::assign);
        double sum = 0;
        for (std::size_t l = 0; l < count; ++l) {
          const Index at = states.rows() - lengths[i] + static_cast<Index>(l);
          sum += logits(at, own[l]) - log_sum_exp(ctx, logits.row(at));
        }
        sums.push_back(sum);
      }
    }
    return sums;
  }

private:
  Prompts prompt(Index row, std::span<const std::int32_t> more) const {
    const auto i = static_cast<std::size_t>(row);
    Prompts one;
    one.ids.assign(run.ids.begin() + run.padding.offsets[i],
                   run.ids.begin() + run.padding.offsets[i + 1]);
    one.ids.insert(one.ids.end(), more.begin(), more.end());
    one.offsets = {0, static_cast<Index>(one.ids.size())};
    return one;
  }
};

}  // namespace

void check_causal_beam(GoldenModel& model);
void check_causal_beam(GoldenModel& model) {
  CausalSpeller speller(model);
  check_spelling(model, speller);
}

}  // namespace simgr_test
