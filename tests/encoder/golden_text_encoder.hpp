// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <map>

#include <encoder/golden_t5.hpp>

#include <simgr/encoder/masked_lm.hpp>
#include <simgr/nn/linear.hpp>
#include <simgr/nn/relative_stack.hpp>
#include <simgr/nn/sentence_pooling.hpp>

// Encoders of texts of the family models/: BERT with the heads that it is trained with, and BERT and
// T5 under a loss of pairs of texts. One scalar for each translation unit.

namespace simgr_test {

/// Rows 0, 2, … of embeddings are queries and rows 1, 3, … what they look for.
///
///   scores = 20 <query, key>;   loss = cross-entropy with the diagonal as target
template <class T>
struct PairsOfTexts {
  Matrix<T> scores, dembedding;
  double loss = 0;

  PairsOfTexts() = default;
  PairsOfTexts(cpu::Context& ctx, MatrixArg<T> embedding) {
    const Index pairs = embedding.rows() / 2, width = embedding.cols();
    std::vector<std::int32_t> sides[2];
    Matrix<T> rows[2], gradients[2];
    for (std::size_t side = 0; side < 2; ++side) {
      for (Index i = 0; i < pairs; ++i) {
        sides[side].push_back(static_cast<std::int32_t>(2 * i + static_cast<Index>(side)));
      }
      rows[side] = ctx.take<T>(pairs, width);
      gradients[side] = ctx.take<T>(pairs, width);
      gather_rows(ctx, embedding, std::span<const std::int32_t>(sides[side]), rows[side]);
    }
    scores = ctx.take<T>(pairs, pairs);
    gemm_nt(ctx, MatrixArg<T>(rows[0]), MatrixArg<T>(rows[1]), scores, Write::assign);
    scale(ctx, scores, 20);
    const Matrix<T> d = ctx.take<T>(pairs, pairs);
    copy(ctx, MatrixArg<T>(scores), d, Write::assign);
    for (Index i = 0; i < pairs; ++i) {
      loss += cross_entropy_row(ctx, d.row(i), i, T(1) / static_cast<T>(pairs)) /
              static_cast<double>(pairs);
    }
    scale(ctx, d, 20);
    gemm_nn(ctx, MatrixArg<T>(d), MatrixArg<T>(rows[1]), gradients[0], Write::assign);
    gemm_tn(ctx, MatrixArg<T>(d), MatrixArg<T>(rows[0]), gradients[1], Write::assign);
    dembedding = ctx.take<T>(embedding.rows(), width);
    fill(ctx, dembedding, T(0));
    for (std::size_t side = 0; side < 2; ++side) {
      scatter_add_rows(ctx, MatrixArg<T>(gradients[side]),
                       std::span<const std::int32_t>(sides[side]), T(1), dembedding);
    }
  }
};

/// A BertModel, and the two heads of its pre-training.
struct Bert {
  using Encoder = MaskedLm<>;
  struct Config {
    Encoder::Config encoder;
    bool heads = false;
    std::string prefix;  // of the published names of the encoder

    explicit Config(GoldenModel& model)
        : heads(model.file("model").has("cls.predictions.bias")), prefix(heads ? "bert." : "") {
      encoder = {.vocabulary = model.integer("vocab_size"),
                 .positions = model.integer("max_position_embeddings"),
                 .types = model.integer("type_vocab_size"),
                 .width = model.integer("hidden_size"),
                 .layers = model.integer("num_hidden_layers"),
                 .heads = model.integer("num_attention_heads"),
                 .inner = model.integer("intermediate_size"),
                 .dropout = model.number("hidden_dropout_prob"),
                 .attention_dropout = model.number("attention_probs_dropout_prob"),
                 .epsilon = model.number("layer_norm_eps")};
    }
    Linear::Config square() const { return {encoder.width, encoder.width}; }
    Linear::Config relation() const { return {encoder.width, 2}; }
  };
  template <class T, class S = Host>
  struct Params {
    Encoder::Params<T, S> encoder;
    Linear::Params<T, S> pooler, transform, relation;
    LayerNorm::Params<T, S> transform_norm;
    Vector<T, S> bias;  // of the scores of tokens
  };
  template <class F, class... P>
  static void for_each_parameter(const Config& c, F&& f, P&... p) {
    Encoder::for_each_parameter(c.encoder, f, p.encoder...);
    Linear::for_each_parameter(c.square(), under("pooler", f), p.pooler...);
    if (c.heads) {
      Linear::for_each_parameter(c.square(), under("transform", f), p.transform...);
      LayerNorm::for_each_parameter(c.encoder.norm(), under("transform_norm", f),
                                    p.transform_norm...);
      f(Spec<1>{"bias", {c.encoder.vocabulary}, Init::zeros(), Decay::no}, p.bias...);
      Linear::for_each_parameter(c.relation(), under("relation", f), p.relation...);
    }
  }

  static std::vector<std::string> stored(const Config& c, const std::string& name) {
    const std::string tail = name.substr(name.rfind('.') + 1);
    const auto after = [&](const std::string& theirs) {
      return std::vector<std::string>{theirs + "." + tail};
    };
    const std::map<std::string, std::string> whole{
        {"embedding.table", c.prefix + "embeddings.word_embeddings.weight"},
        {"position", c.prefix + "embeddings.position_embeddings.weight"},
        {"token_type", c.prefix + "embeddings.token_type_embeddings.weight"},
        {"bias", "cls.predictions.bias"}};
    if (const auto found = whole.find(name); found != whole.end()) {
      return {found->second};
    }
    const std::map<std::string, std::string> heads{
        {"embedding_norm", c.prefix + "embeddings.LayerNorm"},
        {"pooler", c.prefix + "pooler.dense"},
        {"transform", "cls.predictions.transform.dense"},
        {"transform_norm", "cls.predictions.transform.LayerNorm"},
        {"relation", "cls.seq_relationship"}};
    if (const auto found = heads.find(name.substr(0, name.find('.'))); found != heads.end()) {
      return after(found->second);
    }
    const std::size_t begin = std::string("blocks.").size(), end = name.find('.', begin);
    const std::string block = c.prefix + "encoder.layer." + name.substr(begin, end - begin) + ".";
    const std::string part = name.substr(end + 1, name.rfind('.') - end - 1);
    if (part == "attention.qkv") {
      std::vector<std::string> parts;
      for (const char* one : {"query", "key", "value"}) {
        parts.push_back(block + "attention.self." + one + "." + tail);
      }
      return parts;
    }
    const std::map<std::string, std::string> parts{{"norm1", "attention.output.LayerNorm"},
                                                   {"attention.out", "attention.output.dense"},
                                                   {"norm2", "output.LayerNorm"},
                                                   {"up", "intermediate.dense"},
                                                   {"down", "output.dense"}};
    return after(block + parts.at(part));
  }
};

template <class T>
struct BertRun : GoldenWeights<Bert, T> {
  using GoldenWeights<Bert, T>::GoldenWeights;
  using GoldenWeights<Bert, T>::bench;
  using GoldenWeights<Bert, T>::config;
  using GoldenWeights<Bert, T>::gradients;
  using GoldenWeights<Bert, T>::params;
  using GoldenWeights<Bert, T>::grads;

  Padding padding;
  std::vector<std::int32_t> ids, types, related;
  std::vector<std::int64_t> labels;
  Bert::Encoder::Cache<T> cache;
  SentencePooling::Cache<T> pooling;
  Matrix<T> states, summary, embedding, logits, relation;
  PairsOfTexts<T> pairs;
  double loss = 0, token_loss = 0, relation_loss = 0;

  void read(GoldenCase& inputs) {
    padding = Padding(inputs, "input_ids", "lengths");
    ids = padding.pack(inputs.tensor<std::int32_t>("input_ids"));
    types = padding.pack(inputs.tensor<std::int32_t>("token_type_ids"));
    inputs.tensor<std::int64_t>("attention_mask");  // says what lengths say
    if (config.heads) {
      labels = padding.pack(inputs.tensor<std::int64_t>("labels"));
      related = inputs.tensor<std::int32_t>("next_sentence_label");
    }
  }

  void step() {
    bench.arena.reset();
    bench.ctx.stream = 0;
    auto& ctx = bench.ctx;
    std::fill(gradients.begin(), gradients.end(), T(0));
    const Index width = config.encoder.width;
    states = Bert::Encoder::forward(config.encoder, params.encoder, {ids, padding.offsets},
                                    std::span<const std::int32_t>(types), cache, ctx);
    SentencePooling::Cache<T> first;
    const SentencePooling::Config of_first{Pooling::first, false};
    Linear::Cache<T> pooler;
    const Matrix<T> asked =
        SentencePooling::forward<T>(of_first, MatrixArg<T>(states), padding.offsets, first, ctx);
    const Matrix<T> before = Linear::forward(config.square(), params.pooler, asked, pooler, ctx);
    summary = ctx.template take<T>(before.rows(), width);
    activate(ctx, Tanh{}, before, summary);
    const Matrix<T> dstates = ctx.template take<T>(states.rows(), width);
    if (!config.heads) {
      embedding =
          SentencePooling::forward<T>({}, MatrixArg<T>(states), padding.offsets, pooling, ctx);
      pairs = PairsOfTexts<T>(ctx, embedding);
      loss = pairs.loss;
      copy(ctx, SentencePooling::backward<T>({}, MatrixArg<T>(pairs.dembedding), pooling, ctx),
           dstates, Write::assign);
    } else {
      token_loss = tokens(ctx, dstates);
      Linear::Cache<T> head;
      relation = Linear::forward(config.relation(), params.relation, summary, head, ctx);
      const Matrix<T> drelation = ctx.template take<T>(relation.rows(), 2);
      copy(ctx, relation, drelation, Write::assign);
      const auto rows = static_cast<double>(relation.rows());
      relation_loss = 0;
      for (Index i = 0; i < relation.rows(); ++i) {
        relation_loss +=
            cross_entropy_row(ctx, drelation.row(i), Index{related[static_cast<std::size_t>(i)]},
                              static_cast<T>(1 / rows)) /
            rows;
      }
      const Matrix<T> dsummary = Linear::backward(config.relation(), params.relation,
                                                  grads.relation, drelation, head, ctx);
      activate_backward(ctx, Tanh{}, before, dsummary, dsummary);
      const Matrix<T> dasked =
          Linear::backward(config.square(), params.pooler, grads.pooler, dsummary, pooler, ctx);
      copy(ctx, SentencePooling::backward<T>(of_first, MatrixArg<T>(dasked), first, ctx), dstates,
           Write::add);
      loss = token_loss + relation_loss;
    }
    Bert::Encoder::backward(config.encoder, params.encoder, grads.encoder, dstates, cache, ctx);
  }

private:
  /// logits = norm(gelu(x W' + b)) E' + bias, E the table of tokens.   -> loss; dstates is assigned
  double tokens(cpu::Context& ctx, Matrix<T> dstates) {
    Linear::Cache<T> transform;
    LayerNorm::Cache<T> norm;
    const Matrix<T> before =
        Linear::forward(config.square(), params.transform, states, transform, ctx);
    const Matrix<T> active = ctx.take<T>(before.rows(), before.cols());
    activate(ctx, GeluErf{}, before, active);
    const Matrix<T> read =
        LayerNorm::forward(config.encoder.norm(), params.transform_norm, active, norm, ctx);
    logits = ctx.take<T>(read.rows(), config.encoder.vocabulary);
    gemm_nt(ctx, read, params.encoder.embedding, logits, Write::assign);
    add_to_rows(ctx, params.bias, logits);
    const auto [sum, d] = mean_cross_entropy<T>(ctx, logits, labels);
    gemm_tn(ctx, d, read, grads.encoder.embedding, Write::add);
    add_column_sums(ctx, d, grads.bias);
    const Matrix<T> dread = ctx.take<T>(read.rows(), read.cols());
    gemm_nn(ctx, d, params.encoder.embedding, dread, Write::assign);
    const Matrix<T> dactive = LayerNorm::backward(config.encoder.norm(), params.transform_norm,
                                                  grads.transform_norm, dread, norm, ctx);
    activate_backward(ctx, GeluErf{}, before, dactive, dactive);
    copy(ctx,
         Linear::backward(config.square(), params.transform, grads.transform, dactive, transform,
                          ctx),
         dstates, Write::assign);
    return sum;
  }
};

/// The encoder of T5, the mean of its states, a map without bias, and a norm.
struct SentenceT5 {
  using Encoder = RelativeStack<Bidirectional, FeedForward<Relu>>;
  struct Config {
    Index tokens = 0;
    Encoder::Config encoder;
    Linear::Config dense;

    explicit Config(GoldenModel& model) : tokens(model.integer("vocab_size")) {
      encoder = {model.integer("d_model"),
                 model.integer("num_layers"),
                 model.integer("num_heads"),
                 model.integer("d_kv"),
                 model.integer("d_ff"),
                 model.integer("relative_attention_num_buckets"),
                 model.integer("relative_attention_max_distance"),
                 model.number("dropout_rate"),
                 model.number("layer_norm_epsilon")};
      dense = {encoder.width, model.file("model").shape("linear.weight")[0], false};
    }
  };
  template <class T, class S = Host>
  struct Params {
    Matrix<T, S> table;
    Encoder::Params<T, S> encoder;
    Linear::Params<T, S> dense;
  };
  template <class F, class... P>
  static void for_each_parameter(const Config& c, F&& f, P&... p) {
    f(Spec<2>{"shared", {c.tokens, c.encoder.width}, Init::normal(1)}, p.table...);
    Encoder::for_each_parameter(c.encoder, under("encoder", f), p.encoder...);
    Linear::for_each_parameter(c.dense, under("linear", f), p.dense...);
  }
  static std::vector<std::string> stored(const Config&, const std::string& name) {
    return name == "linear.weight" ? std::vector<std::string>{name}
                                   : T5<FeedForward<Relu>>::stored(name);
  }
};

template <class T>
struct SentenceT5Run : GoldenWeights<SentenceT5, T> {
  using GoldenWeights<SentenceT5, T>::GoldenWeights;
  using GoldenWeights<SentenceT5, T>::bench;
  using GoldenWeights<SentenceT5, T>::config;
  using GoldenWeights<SentenceT5, T>::gradients;
  using GoldenWeights<SentenceT5, T>::params;
  using GoldenWeights<SentenceT5, T>::grads;

  Padding padding;
  std::vector<std::int32_t> ids;
  SentenceT5::Encoder::Cache<T> cache;
  Matrix<T> states, pooled, dense, embedding;
  PairsOfTexts<T> pairs;
  double loss = 0;

  void read(GoldenCase& inputs) {
    padding = Padding(inputs, "input_ids", "lengths");
    ids = padding.pack(inputs.tensor<std::int32_t>("input_ids"));
    inputs.tensor<std::int64_t>("attention_mask");  // says what lengths say
  }

  void step() {
    bench.arena.reset();
    bench.ctx.stream = 0;
    auto& ctx = bench.ctx;
    std::fill(gradients.begin(), gradients.end(), T(0));
    const Matrix<T> x = ctx.template take<T>(padding.tokens(), config.encoder.width);
    gather_rows(ctx, params.table, std::span<const std::int32_t>(ids), x);
    states = SentenceT5::Encoder::forward(config.encoder, params.encoder, x, padding.offsets, {},
                                          cache, ctx);
    const SentencePooling::Config plain{Pooling::mean, false};
    SentencePooling::Cache<T> pooling, norm;
    Linear::Cache<T> map;
    pooled =
        SentencePooling::forward<T>(plain, MatrixArg<T>(states), padding.offsets, pooling, ctx);
    dense = Linear::forward(config.dense, params.dense, pooled, map, ctx);
    // Each row as a text of one token: what is left is the norm.
    std::vector<Index> one_each(static_cast<std::size_t>(dense.rows()) + 1);
    for (std::size_t i = 0; i < one_each.size(); ++i) { one_each[i] = static_cast<Index>(i); }
    embedding = SentencePooling::forward<T>({}, MatrixArg<T>(dense), one_each, norm, ctx);
    pairs = PairsOfTexts<T>(ctx, embedding);
    loss = pairs.loss;
    const Matrix<T> ddense =
        SentencePooling::backward<T>({}, MatrixArg<T>(pairs.dembedding), norm, ctx);
    const Matrix<T> dpooled =
        Linear::backward(config.dense, params.dense, grads.dense, ddense, map, ctx);
    const Matrix<T> dstates =
        SentencePooling::backward<T>(plain, MatrixArg<T>(dpooled), pooling, ctx);
    const Matrix<T> dx = SentenceT5::Encoder::backward(config.encoder, params.encoder,
                                                       grads.encoder, dstates, {}, cache, ctx);
    scatter_add_rows(ctx, dx, std::span<const std::int32_t>(ids), T(1), grads.table);
  }
};

/// What the outputs hold beside the states, each where it is stored.
template <class T>
struct Outputs {
  GoldenModel& model;
  const Padding& padding;

  void operator()(const std::string& name, MatrixArg<T> found) const {
    meets_model<T>(model, model.file("outputs"), name, std::span<const T>(found.span()), false);
  }
  void padded(const std::string& name, MatrixArg<T> found) const {
    const std::vector<T> whole = padding.unpack(std::span<const T>(found.span()));
    meets_model<T>(model, model.file("outputs"), name, std::span<const T>(whole), false);
  }
  void loss(const std::string& name, double found) const {
    const T value[] = {static_cast<T>(found)};
    meets_model<T>(model, model.file("outputs"), name, std::span<const T>(value), false);
  }
};

template <class T>
void check_bert(GoldenModel& model) {
  BertRun<T> run(model);
  run.read(model.file("inputs"));
  run.step();
  const Outputs<T> outputs{model, run.padding};
  const auto& blocks = run.cache.blocks.whole;
  for (std::size_t i = 0; i < blocks.size(); ++i) {  // what each read is what the one before wrote
    outputs.padded(i == 0 ? "hidden.embeddings" : "hidden.layer." + std::to_string(i - 1),
                   blocks[i].mixer.x);
  }
  const std::string last = "hidden.layer." + std::to_string(blocks.size() - 1);
  if (model.file("outputs").has(last)) {
    outputs.padded(last, run.states);
  }
  outputs.padded("last_hidden_state", run.states);
  outputs("pooler_output", run.summary);
  if (run.config.heads) {
    outputs.padded("mlm_logits", run.logits);
    outputs("nsp_logits", run.relation);
    outputs.loss("mlm_loss", run.token_loss);
    outputs.loss("nsp_loss", run.relation_loss);
  } else {
    outputs("mean_pooled", run.pooling.pooled);
    outputs("embedding", run.embedding);
    outputs("scores", run.pairs.scores);
  }
  meets_loss_of<T>(model, run);
  meets_gradients(model, run);
  meets_three_steps(model, run);
}

template <class T>
void check_sentence_t5(GoldenModel& model) {
  SentenceT5Run<T> run(model);
  run.read(model.file("inputs"));
  run.step();
  const Outputs<T> outputs{model, run.padding};
  for_each_t5_state<T>(
      "encoder.hidden.", run.cache, run.states,
      [&](const std::string& name, MatrixArg<T> found) { outputs.padded(name, found); });
  outputs("mean_pooled", run.pooled);
  outputs("dense", run.dense);
  outputs("embedding", run.embedding);
  if (model.file("outputs").has("scores")) {
    outputs("scores", run.pairs.scores);
  }
  meets_loss_of<T>(model, run);
  meets_gradients(model, run);
  meets_three_steps(model, run);
}

}  // namespace simgr_test
