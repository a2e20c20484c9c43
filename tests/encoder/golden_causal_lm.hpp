// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include <support/golden_model.hpp>

#include <simgr/core/float_formats.hpp>

#include <simgr/encoder/causal_lm.hpp>
#include <simgr/encoder/item_embedding.hpp>
#include <simgr/encoder/transformer.hpp>

// Decoder-only models of the family models/: an encoder whose items are tokens, and the table that
// logits are products with.

namespace simgr_test {

using namespace simgr;

using Llama = CausalLm<ItemEmbedding>;
using AdaptedLlama = CausalLm<ItemEmbedding, Lora<Linear>>;
using Gpt2 = TransformerEncoder<ItemEmbedding, Causal>;

template <class E>
constexpr bool is_gpt2 = std::is_same_v<E, Gpt2>;

/// The numbers of a config.json.
template <class E>
typename E::Config causal_config(GoldenModel& model) {
  typename E::Config c;
  c.catalogue.items = model.integer("vocab_size");
  c.dropout = c.attention_dropout = 0;
  if constexpr (is_gpt2<E>) {
    c.width = model.integer("n_embd");
    c.layers = model.integer("n_layer");
    c.heads = model.integer("n_head");
    c.max_length = model.integer("n_positions");
    c.epsilon = model.number("layer_norm_epsilon");
  } else {
    const auto* type = model.config.find("model_type")->as_text();
    const auto* angles = model.config.find("rope_parameters");
    REQUIRE(angles != nullptr);
    const auto angle = [&](const char* key, double otherwise) {
      const auto* value = angles->find(key);
      return value != nullptr ? value->as_number().value_or(otherwise) : otherwise;
    };
    c.width = model.integer("hidden_size");
    c.layers = model.integer("num_hidden_layers");
    c.heads = model.integer("num_attention_heads");
    c.kv_heads = model.integer("num_key_value_heads");
    const auto* head = model.config.find("head_dim");
    c.head_width = head != nullptr ? static_cast<Index>(head->as_integer().value_or(0)) : Index{0};
    c.inner = model.integer("intermediate_size");
    c.max_length = 4096;
    c.epsilon = model.number("rms_norm_eps");
    c.biased = *type == "qwen2";
    c.head_norm = *type == "qwen3";
    c.angles.theta = angle("rope_theta", 0);
    const auto* kind = angles->find("rope_type");
    if (kind != nullptr && kind->as_text() != nullptr && *kind->as_text() == "llama3") {
      c.angles.scaling = angle("factor", 1);
      c.angles.low = angle("low_freq_factor", 1);
      c.angles.high = angle("high_freq_factor", 4);
      c.angles.original = angle("original_max_position_embeddings", 0);
    }
  }
  if constexpr (std::is_same_v<E, AdaptedLlama>) {
    const data::JsonValue adapters = model.json("adapter_config.json");
    c.adapters.rank = static_cast<Index>(*adapters.find("r")->as_integer());
    c.adapters.alpha = *adapters.find("lora_alpha")->as_number();
    c.adapters.dropout = *adapters.find("lora_dropout")->as_number();
    const auto aimed_at = [&](const char* map) {
      const auto& targets = *adapters.find("target_modules")->as_array();
      return std::any_of(targets.begin(), targets.end(),
                         [&](const auto& target) { return *target.as_text() == map; });
    };
    c.adapters.query = aimed_at("q_proj");
    c.adapters.key = aimed_at("k_proj");
    c.adapters.value = aimed_at("v_proj");
    c.adapters.out = aimed_at("o_proj");
    c.adapters.gate = aimed_at("gate_proj");
    c.adapters.up = aimed_at("up_proj");
    c.adapters.down = aimed_at("down_proj");
  }
  REQUIRE(E::check(c) == "");
  return c;
}

/// Our name of a tensor of an encoder over tokens → the published one.
template <class E>
std::string published(const std::string& name) {
  static const std::map<std::string, std::string> parts =
      is_gpt2<E> ? std::map<std::string, std::string>{{"norm1", "ln_1"},
                                                      {"attention.qkv", "attn.c_attn"},
                                                      {"attention.out", "attn.c_proj"},
                                                      {"norm2", "ln_2"},
                                                      {"up", "mlp.c_fc"},
                                                      {"down", "mlp.c_proj"}}
                 : std::map<std::string, std::string>{{"norm1", "input_layernorm"},
                                                      {"attention.query", "self_attn.q_proj"},
                                                      {"attention.key", "self_attn.k_proj"},
                                                      {"attention.value", "self_attn.v_proj"},
                                                      {"attention.query_norm", "self_attn.q_norm"},
                                                      {"attention.key_norm", "self_attn.k_norm"},
                                                      {"attention.out", "self_attn.o_proj"},
                                                      {"norm2", "post_attention_layernorm"},
                                                      {"net.gate", "mlp.gate_proj"},
                                                      {"net.up", "mlp.up_proj"},
                                                      {"net.down", "mlp.down_proj"}};
  const std::string root = is_gpt2<E> ? "transformer." : "model.";
  if (name == "embedding.items") {
    return root + (is_gpt2<E> ? "wte.weight" : "embed_tokens.weight");
  }
  if (name == "position") {
    return root + "wpe.weight";
  }
  const std::size_t last = name.rfind('.');
  if (name.starts_with("final_norm.")) {
    return root + (is_gpt2<E> ? "ln_f" : "norm") + name.substr(last);
  }
  const std::size_t number = std::string("blocks.").size(), end = name.find('.', number);
  return root + (is_gpt2<E> ? "h." : "layers.") + name.substr(number, end - number) + "." +
         parts.at(name.substr(end + 1, last - end - 1)) + name.substr(last);
}

template <class E>
struct CausalModel {
  struct Config {
    typename E::Config encoder;
    bool tied;

    explicit Config(GoldenModel& model)
        : encoder(causal_config<E>(model)), tied(model.flag("tie_word_embeddings")) {}
  };
  template <class T, class S = Host>
  struct Params {
    typename E::template Params<T, S> encoder;
    Matrix<T, S> head;

    Matrix<T, S> output() const { return head.empty() ? encoder.embedding.table : head; }
  };
  template <class F, class... P>
  static void for_each_parameter(const Config& c, F&& f, P&... p) {
    E::for_each_parameter(c.encoder, f, p.encoder...);
    if (!c.tied) {
      f(Spec<2>{"head", {c.encoder.catalogue.items, c.encoder.width}, Init::normal(1)}, p.head...);
    }
  }
  static std::vector<std::string> stored(const Config&, const std::string& name) {
    if (name == "head") {
      return {"lm_head.weight"};
    }
    for (const auto& [last, theirs] :
         {std::pair{".a", ".lora_A.weight"}, std::pair{".b", ".lora_B.weight"}}) {
      if (name.ends_with(last)) {
        const std::string map = published<E>(name.substr(0, name.size() - 2) + ".weight");
        return {map.substr(0, map.rfind('.')) + theirs};
      }
    }
    std::string own = name;
    const std::size_t base = name.find(".base.");
    if (base != std::string::npos) {
      own.replace(base, std::string(".base.").size(), ".");
    }
    return {published<E>(own)};
  }
  /// GPT-2's maps are published [in, out].
  static bool transposed(const std::string& name) {
    return is_gpt2<E> && name.find(".c_") != std::string::npos && name.ends_with(".weight");
  }
};

/// One batch of token rows through a model.
template <class E, class T>
struct CausalRun : GoldenWeights<CausalModel<E>, T> {
  Padding padding;
  std::vector<std::int32_t> ids;      // packed
  std::vector<std::int64_t> targets;  // [tokens]: what each position predicts, or negative
  typename E::template Cache<T> cache;
  Matrix<T> states, logits;
  double loss = 0;

  explicit CausalRun(GoldenModel& model) : GoldenWeights<CausalModel<E>, T>(model) {
    GoldenCase& inputs = model.file("inputs");
    padding = Padding(inputs, "input_ids", "lengths");
    ids = padding.pack(inputs.tensor<std::int32_t>("input_ids"));
    inputs.tensor<std::int64_t>("attention_mask");  // says what lengths say
    if (inputs.has("labels")) {
      const auto labels = padding.pack(inputs.tensor<std::int64_t>("labels"));
      targets.assign(labels.size(), -100);
      for (std::size_t s = 0; s + 1 < padding.offsets.size(); ++s) {
        for (Index t = padding.offsets[s]; t + 1 < padding.offsets[s + 1]; ++t) {
          targets[static_cast<std::size_t>(t)] = labels[static_cast<std::size_t>(t) + 1];
        }
      }
    }
  }
  ItemsView<> tokens() const { return {this->config.encoder.catalogue.items, {}}; }

  void encode() {
    this->bench.arena.reset();
    this->bench.ctx.stream = 0;
    std::fill(this->gradients.begin(), this->gradients.end(), T(0));
    const RaggedView<ItemId> rows{std::span<const ItemId>(ids), Offsets(padding.offsets)};
    states =
        E::forward(this->config.encoder, this->params.encoder, this->params.encoder.embedding.table,
                   tokens(), rows, cache, this->bench.ctx);
  }
  void step() {
    encode();
    auto& ctx = this->bench.ctx;
    logits = ctx.template take<T>(states.rows(), this->config.encoder.catalogue.items);
    gemm_nt(ctx, states, this->params.output(), logits, Write::assign);
    const auto [sum, dlogits] = mean_cross_entropy<T>(ctx, logits, targets);
    loss = sum;
    const Matrix<T> dstates = ctx.template take<T>(states.rows(), states.cols());
    gemm_nn(ctx, dlogits, this->params.output(), dstates, Write::assign);
    gemm_tn(ctx, dlogits, states, this->grads.output(), Write::add);
    E::backward(this->config.encoder, this->params.encoder, this->grads.encoder, dstates,
                this->grads.encoder.embedding.table, cache, ctx);
  }
};

/// The same weights under other names or in another format. The masks that GPT-2's file has besides
/// say nothing.
inline void check_other_files(GoldenModel& model) {
  GoldenCase& own = model.file("model");
  for (GoldenCase& other : model.files.cases()) {
    if (!other.name().starts_with(own.name() + ".")) {
      continue;
    }
    for (const std::string& name : other.tensors()) {
      if (name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias")) {
        other.not_compared(name, "a mask, not a weight");
        continue;
      }
      const std::vector<float> found = other.tensor<float>(name);
      std::vector<float> expected = own.tensor<float>(own.has(name) ? name : "transformer." + name);
      if (other.name().ends_with(".bf16")) {
        for (float& value : expected) { value = float_from_bf16(bf16_from_float(value)); }
      }
      INFO(other.name(), ": ", name);
      CHECK(found == expected);
    }
  }
}

template <class E, class T>
void check_causal_lm(GoldenModel& model) {
  check_other_files(model);
  CausalRun<E, T> run(model);
  run.step();
  GoldenCase& outputs = model.file("outputs");
  const auto padded = [&](const std::string& name, MatrixArg<T> found) {
    meets_model<T>(model, outputs, name, run.padding.unpack(std::span<const T>(found.span())),
                   false);
  };
  // What each block read is what the one before it wrote.
  const std::size_t layers = run.cache.blocks.whole.size();
  for (std::size_t i = 0; i <= layers; ++i) {
    padded(i == 0 ? "hidden.embeddings" : "hidden.layer." + std::to_string(i - 1),
           i < layers ? run.cache.blocks.whole[i].norm1.x : run.cache.final_norm.x);
  }
  padded("hidden.final", run.states);
  padded("logits", run.logits);
  std::vector<T> last;
  for (std::size_t s = 0; s + 1 < run.padding.offsets.size(); ++s) {
    const auto row = run.states.row(run.padding.offsets[s + 1] - 1);
    last.insert(last.end(), row.begin(), row.end());
  }
  meets_model<T>(model, outputs, "last_position", last, false);
  meets_loss_of<T>(model, run);
  meets_gradients(model, run);
  meets_three_steps(model, run);
}

/// Adapters over a frozen model, and the weights that they are merged to.
template <class T>
void check_adapted_lm(GoldenModel& model) {
  CausalRun<AdaptedLlama, T> run(model);
  run.step();
  GoldenCase& outputs = model.file("outputs");
  meets_model<T>(model, outputs, "logits",
                 run.padding.unpack(std::span<const T>(run.logits.span())), false);
  meets_loss_of<T>(model, run);
  meets_gradients(model, run);

  GoldenCase& merged = model.file("merged_weights");
  const auto block = run.config.encoder.block();
  for (std::size_t i = 0; i < run.params.encoder.blocks.size(); ++i) {
    const auto& own = run.params.encoder.blocks[i];
    const auto meets_merged = [&](const std::string& map, const Lora<Linear>::Config& c,
                                  const auto& params) {
      const Matrix<T> weight = run.bench.ctx.template take<T>(c.base.out, c.base.in);
      Lora<Linear>::merge(c, params, weight, run.bench.ctx);
      meets_model<T>(model, merged,
                     published<AdaptedLlama>("blocks." + std::to_string(i) + "." + map + ".weight"),
                     std::span<const T>(weight.span()), false);
    };
    const auto attention = block.attention;
    meets_merged("attention.query", attention.query(), own.attention.query);
    meets_merged("attention.key", attention.key(), own.attention.key);
    meets_merged("attention.value", attention.value(), own.attention.value);
    meets_merged("attention.out", attention.out(), own.attention.out);
    meets_merged("net.gate", block.net().gate(), own.net.gate);
    meets_merged("net.up", block.net().up(), own.net.up);
    meets_merged("net.down", block.net().down(), own.net.down);
  }
  meets_three_steps(model, run);
}

}  // namespace simgr_test
