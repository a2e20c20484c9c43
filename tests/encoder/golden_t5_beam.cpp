// SPDX-License-Identifier: Apache-2.0
#include <encoder/golden_t5.hpp>

#include <simgr/cpu/topk.hpp>
#include <simgr/nn/tree_decoding.hpp>
#include <simgr/ranker/exact_token_scores.hpp>
#include <simgr/ranker/free_beam.hpp>
#include <simgr/ranker/trie_beam.hpp>

// Decoding from a T5 model. Rows of a trie's digit table are tokens: those of every digit once more.

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

SemanticIds token_ids(const std::vector<std::int32_t>& codes, Index digits, Index tokens) {
  SemanticIds ids;
  ids.codes.values = codes;
  ids.codes.rows = static_cast<Index>(codes.size()) / digits;
  ids.codes.cols = digits;
  ids.codes_per_digit.assign(static_cast<std::size_t>(digits), tokens);
  return ids;
}

struct Lists {
  std::vector<ItemId> ids;
  std::vector<float> scores;
};
template <class Ranker>
Lists rank(const typename Ranker::Config& config, const Trie& trie, VocabularyDecoder decoder,
           Index k) {
  Arena arena;
  cpu::Context ctx{arena};
  Lists lists{std::vector<ItemId>(static_cast<std::size_t>(decoder.rows() * k)), {}};
  lists.scores.resize(lists.ids.size());
  const Vector<Index> found = ctx.take<Index>(decoder.rows());
  Ranker::rank(ctx, config, trie, decoder, {},
               Matrix<ItemId>(lists.ids.data(), {decoder.rows(), k}),
               Matrix<float>(lists.scores.data(), {decoder.rows(), k}), found);
  for (const Index count : found) { CHECK(count == k); }
  return lists;
}

/// Log-probabilities of whole sequences by teacher forcing, in double.
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

/// Sets of identifiers of one length: exact scores, and beams.
void check_identifiers(GoldenModel& model, T5Run<Net, float>& run, const std::string& set,
                       const std::vector<std::int32_t>& codes, Index digits) {
  GoldenCase& outputs = model.file("outputs");
  const Trie trie(token_ids(codes, digits, run.config.tokens));
  for (const auto& [suffix, support] :
       {std::pair{"", ranker::Support::level}, std::pair{"_children", ranker::Support::children}}) {
    Arena arena;
    cpu::Context ctx{arena};
    VocabularyDecoder decoder{run, run.input};
    std::vector<float> exact(static_cast<std::size_t>(decoder.rows() * trie.items()));
    // Tiles of a few nodes: the search goes back to depths that it has left.
    ranker::ExactTokenScores::score(ctx, {.support = support, .tile = 7}, trie, decoder,
                                    Matrix<float>(exact.data(), {decoder.rows(), trie.items()}));
    meets_model<float>(model, outputs, set + ".exact_logprob" + suffix, exact, false);
    for (const Index width : {4, 8}) {
      const Lists lists = rank<ranker::TrieBeam>({.width = width, .support = support}, trie,
                                                 {run, run.input}, width);
      const std::string name = set + ".beam" + std::to_string(width) + suffix;
      CHECK(outputs.tensor<ItemId>(name + ".index") == lists.ids);
      meets_model<float>(model, outputs, name + ".score", lists.scores, false);
    }
  }
}

/// The best sequences of any tokens, stored best first; a greedy search is a beam of one.
void check_free(GoldenModel& model, T5Run<Net, float>& run, const std::string& name) {
  GoldenCase& outputs = model.file("outputs");
  const auto tokens = outputs.tensor<std::int32_t>(name + ".tokens");
  const Index digits = outputs.shape(name + ".tokens").back(), rows = run.input.padding.sequences(),
              width = static_cast<Index>(tokens.size()) / rows / digits;
  std::vector<float> scores;
  for (Index row = 0; row < rows; ++row) {
    const auto begin = tokens.begin() + static_cast<std::ptrdiff_t>(row * width * digits);
    const Trie trie(token_ids({begin, begin + static_cast<std::ptrdiff_t>(width * digits)}, digits,
                              run.config.tokens));
    Lists lists = rank<ranker::FreeBeam>({.width = width}, trie, {run, run.row(row)}, width);
    for (Index i = 0; i < width; ++i) { CHECK(lists.ids[static_cast<std::size_t>(i)] == i); }
    scores.insert(scores.end(), lists.scores.begin(), lists.scores.end());
  }
  meets_model<float>(model, outputs, name + ".score", scores, false);
}

}  // namespace

void check_t5_beam(GoldenModel& model);
void check_t5_beam(GoldenModel& model) {
  GoldenCase &inputs = model.file("inputs"), &outputs = model.file("outputs");
  T5Run<Net, float> run(model);
  T5Run<Net, double> in_double(model);
  run.bench.ctx.training = in_double.bench.ctx.training = false;
  run.input = T5Run<Net, float>::side(inputs, "input_ids", "lengths");
  in_double.input = {run.input.padding, run.input.ids};
  inputs.tensor<std::int64_t>("attention_mask");  // says what lengths say

  for (const std::string& name : inputs.tensors()) {
    if (!name.ends_with(".codes")) {
      continue;
    }
    const std::string set = name.substr(0, name.find('.'));
    const auto codes = inputs.tensor<std::int32_t>(name);
    const auto lengths = inputs.tensor<Index>(set + ".code_lengths");
    const std::vector<double> exact = forced(in_double, codes, lengths);
    meets_model<double>(model, outputs, set + ".exact_logprob", exact, false);
    const Index digits = inputs.shape(name)[1];
    if (std::count(lengths.begin(), lengths.end(), digits) ==
        static_cast<std::ptrdiff_t>(lengths.size())) {
      check_identifiers(model, run, set, codes, digits);
    } else {
      for (const std::string& other : outputs.tensors(set + ".")) {
        if (other != set + ".exact_logprob") {
          outputs.not_compared(other, "a trie has identifiers of one length");
        }
      }
    }
  }

  // Without identifiers all tokens compete, and the stored sequences are the catalogue.
  check_free(model, run, "free_beam4");
  check_free(model, run, "greedy");
}

}  // namespace simgr_test
