// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <map>

#include <support/golden_model.hpp>

#include <simgr/nn/relative_stack.hpp>

// T5 models of the family models/: two stacks and vocabulary tables. One scalar for each
// translation unit.

namespace simgr_test {

using namespace simgr;

/// Two stacks over one table of tokens, and the table that logits are products with.
template <class Net>
struct T5 {
  using Encoder = RelativeStack<Bidirectional, Net>;
  using Decoder = RelativeStack<Causal, Net>;
  struct Config {
    Index tokens = 0;
    bool tied = true;
    typename Encoder::Config encoder;
    typename Decoder::Config decoder;

    explicit Config(const GoldenModel& model)
        : tokens(model.integer("vocab_size")), tied(model.flag("tie_word_embeddings")) {
      encoder = {model.integer("d_model"),
                 model.integer("num_layers"),
                 model.integer("num_heads"),
                 model.integer("d_kv"),
                 model.integer("d_ff"),
                 model.integer("relative_attention_num_buckets"),
                 model.integer("relative_attention_max_distance"),
                 0,
                 model.number("layer_norm_epsilon")};
      decoder = {encoder.width,    model.integer("num_decoder_layers"),
                 encoder.heads,    encoder.head_width,
                 encoder.inner,    encoder.buckets,
                 encoder.farthest, 0,
                 encoder.epsilon};
    }
    /// Of the states that meet the table.
    double scale() const { return tied ? 1 / std::sqrt(static_cast<double>(encoder.width)) : 1; }
  };
  template <class T, class S = Host>
  struct Params {
    Matrix<T, S> table, head;
    typename Encoder::template Params<T, S> encoder;
    typename Decoder::template Params<T, S> decoder;

    Matrix<T, S> output() const { return head.empty() ? table : head; }
  };
  template <class F, class... P>
  static void for_each_parameter(const Config& c, F&& f, P&... p) {
    const Shape<2> shape{c.tokens, c.encoder.width};
    f(Spec<2>{"shared", shape, Init::normal(1)}, p.table...);
    if (!c.tied) {
      f(Spec<2>{"lm_head", shape, Init::normal(1)}, p.head...);
    }
    Encoder::for_each_parameter(c.encoder, under("encoder", f), p.encoder...);
    Decoder::for_each_parameter(c.decoder, under("decoder", f), p.decoder...);
  }

  /// Ours → theirs; what stands in one matrix of ours comes from several.
  static std::vector<std::string> stored(const Config&, const std::string& name) {
    return stored(name);
  }
  static std::vector<std::string> stored(const std::string& name) {
    if (name == "shared" || name == "lm_head") {
      return {name + ".weight"};
    }
    const std::string stack = name.substr(0, 8), own = name.substr(8);
    const bool decoder = stack == "decoder.";
    if (own == "position.table") {
      return {stack + "block.0.layer.0.SelfAttention.relative_attention_bias.weight"};
    }
    if (own == "final_norm.weight") {
      return {stack + "final_layer_norm.weight"};
    }
    const std::size_t end = own.find('.', std::string("blocks.").size());
    const std::string block = stack + "block." + own.substr(7, end - 7) + ".layer.";
    const std::string part = own.substr(end + 1), last = decoder ? "2" : "1";
    const std::map<std::string, std::vector<std::string>> names{
        {"self_norm.weight", {"0.layer_norm"}},
        {"memory_norm.weight", {"1.layer_norm"}},
        {"net_norm.weight", {last + ".layer_norm"}},
        {"self.query.weight", {"0.SelfAttention.q"}},
        {"self.key_value.weight", {"0.SelfAttention.k", "0.SelfAttention.v"}},
        {"self.out.weight", {"0.SelfAttention.o"}},
        {"memory.query.weight", {"1.EncDecAttention.q"}},
        {"memory.key_value.weight", {"1.EncDecAttention.k", "1.EncDecAttention.v"}},
        {"memory.out.weight", {"1.EncDecAttention.o"}},
        {"net.gate.weight", {last + ".DenseReluDense.wi_0"}},
        {"net.up.weight", {last + (Net::gated ? ".DenseReluDense.wi_1" : ".DenseReluDense.wi")}},
        {"net.down.weight", {last + ".DenseReluDense.wo"}}};
    std::vector<std::string> parts = names.at(part);
    for (std::string& theirs : parts) { theirs = block + theirs + ".weight"; }
    return parts;
  }
};

/// One step of a batch.
template <class Net, class T>
struct T5Run : GoldenWeights<T5<Net>, T> {
  using Model = T5<Net>;
  using GoldenWeights<Model, T>::bench;
  using GoldenWeights<Model, T>::config;
  using GoldenWeights<Model, T>::gradients;
  using GoldenWeights<Model, T>::params;
  using GoldenWeights<Model, T>::grads;
  using GoldenWeights<Model, T>::GoldenWeights;

  struct Side {
    Padding padding;
    std::vector<std::int32_t> ids;  // packed
  };
  Side input, decoded;
  std::vector<std::int64_t> labels;
  typename Model::Encoder::template Cache<T> encoder;
  typename Model::Decoder::template Cache<T> decoder;
  Matrix<T> memory, states, logits;
  double loss = 0;

  static Side side(GoldenCase& inputs, const char* ids, const char* lengths) {
    Side s{Padding(inputs, ids, lengths), {}};
    s.ids = s.padding.pack(inputs.tensor<std::int32_t>(ids));
    return s;
  }
  /// One of the inputs alone.
  Side row(Index sequence) const {
    const auto i = static_cast<std::size_t>(sequence);
    const auto begin = input.ids.begin() + input.padding.offsets[i],
               end = input.ids.begin() + input.padding.offsets[i + 1];
    Side s;
    s.ids.assign(begin, end);
    s.padding.offsets = {0, end - begin};
    s.padding.longest = end - begin;
    return s;
  }
  void read(GoldenCase& inputs) {
    input = side(inputs, "input_ids", "lengths");
    decoded = side(inputs, "decoder_input_ids", "label_lengths");
    labels = decoded.padding.pack(inputs.tensor<std::int64_t>("labels"));
    inputs.tensor<std::int64_t>("attention_mask");  // says what lengths say
  }

  void step() {
    bench.arena.reset();
    bench.ctx.stream = 0;
    auto& ctx = bench.ctx;
    std::fill(gradients.begin(), gradients.end(), T(0));
    const Index width = config.encoder.width;
    const auto embed = [&](const Side& s) {
      const Matrix<T> x = ctx.template take<T>(static_cast<Index>(s.ids.size()), width);
      gather_rows(ctx, params.table, std::span<const std::int32_t>(s.ids), x);
      return x;
    };
    memory = Model::Encoder::forward(config.encoder, params.encoder, embed(input),
                                     input.padding.offsets, {}, encoder, ctx);
    states = Model::Decoder::forward(config.decoder, params.decoder, embed(decoded),
                                     decoded.padding.offsets, {memory, input.padding.offsets},
                                     decoder, ctx);
    const Matrix<T> scaled = ctx.template take<T>(states.rows(), width);
    copy(ctx, states, scaled, Write::assign);
    scale(ctx, scaled, static_cast<T>(config.scale()));
    logits = ctx.template take<T>(states.rows(), config.tokens);
    gemm_nt(ctx, scaled, params.output(), logits, Write::assign);

    const auto [sum, dlogits] = mean_cross_entropy<T>(ctx, logits, labels);
    loss = sum;
    const Matrix<T> dstates = ctx.template take<T>(states.rows(), width);
    gemm_nn(ctx, dlogits, params.output(), dstates, Write::assign);
    scale(ctx, dstates, static_cast<T>(config.scale()));
    gemm_tn(ctx, dlogits, scaled, grads.output(), Write::add);
    const Matrix<T> dmemory = ctx.template take<T>(memory.rows(), width);
    fill(ctx, dmemory, T(0));
    const Matrix<T> ddecoded = Model::Decoder::backward(
        config.decoder, params.decoder, grads.decoder, dstates, dmemory, decoder, ctx);
    const Matrix<T> dinput = Model::Encoder::backward(config.encoder, params.encoder, grads.encoder,
                                                      dmemory, {}, encoder, ctx);
    scatter_add_rows(ctx, ddecoded, std::span<const std::int32_t>(decoded.ids), T(1), grads.table);
    scatter_add_rows(ctx, dinput, std::span<const std::int32_t>(input.ids), T(1), grads.table);
  }
};

/// f(stored name, states) for what each block of a stack read, which is what the one before it
/// wrote, and for what the last one and the norm wrote.
template <class T, class Cache, class F>
void for_each_t5_state(const std::string& side, const Cache& cache, MatrixArg<T> last, F&& f) {
  for (std::size_t i = 0; i < cache.blocks.whole.size(); ++i) {
    f(i == 0 ? side + "embeddings" : side + "layer." + std::to_string(i - 1),
      cache.blocks.whole[i].self_norm.x);
  }
  f(side + "layer." + std::to_string(cache.blocks.whole.size() - 1), cache.final_norm.x);
  f(side + "final", last);
}

template <class Net, class T>
void check_t5_model(GoldenModel& model) {
  T5Run<Net, T> run(model);
  run.read(model.file("inputs"));
  GoldenCase& outputs = model.file("outputs");
  run.step();

  const auto padded = [&](const std::string& name, const Padding& padding, MatrixArg<T> found) {
    const std::vector<T> whole = padding.unpack(std::span<const T>(found.span()));
    meets_model<T>(model, outputs, name, whole, false);
  };
  for_each_t5_state<T>("encoder.hidden.", run.encoder, run.memory,
                       [&](const std::string& name, MatrixArg<T> states) {
                         padded(name, run.input.padding, states);
                       });
  for_each_t5_state<T>("decoder.hidden.", run.decoder, run.states,
                       [&](const std::string& name, MatrixArg<T> states) {
                         padded(name, run.decoded.padding, states);
                       });
  padded("logits", run.decoded.padding, run.logits);
  meets_loss_of<T>(model, run);
  meets_gradients(model, run);
  meets_three_steps(model, run);
}

template <class T>
void check_t5(GoldenModel& model) {
  if (model.flag("is_gated_act")) {
    check_t5_model<FeedForward<GeluTanh, Gated>, T>(model);
  } else {
    check_t5_model<FeedForward<Relu>, T>(model);
  }
}

}  // namespace simgr_test
