// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>

#include <simgr/core/types.hpp>
#include <simgr/io/language_model_facts.hpp>

// What our parameters are called in published files, as tables. In a name, # is the number of a
// block; at the end of one, * is anything.

namespace simgr::SIMGR_ABI::io {

/// How a tensor of ours comes from published ones.
enum class TensorForm {
  as_it_stands,
  transposed,  // [in, out] there, [out, in] here: GPT-2
  stacked,     // one of several matrices there, which stand one above the other here
  token_rows   // as it stands; here rows of added tokens may follow
};

struct NameRule {
  std::string_view ours, published;
  TensorForm form = TensorForm::as_it_stands;
  Index part = 0, parts = 1;  // stacked
};

/// An older end of a published name.
struct OlderEnd {
  std::string_view now, before;
};

/// Everything that is known of the names of a family.
struct NameMap {
  std::span<const std::string_view> prefixes;  // that files put before names of `body`, or do not
  std::span<const NameRule> body, net;         // the first rule is that of the table of tokens
  std::span<const NameRule> heads;             // without a prefix
  std::span<const std::string_view> buffers;   // no weights: never read, never written
  std::span<const std::string_view> parts;     // weights that may be left unread, each as a whole
  std::span<const OlderEnd> older_ends;
};

namespace names {

inline constexpr auto transposed = TensorForm::transposed, stacked = TensorForm::stacked,
                      token_rows = TensorForm::token_rows;

inline constexpr NameRule rotary_decoder[] = {
    {"embedding.table", "embed_tokens.weight", token_rows},
    {"blocks.#.norm1.weight", "layers.#.input_layernorm.weight"},
    {"blocks.#.attention.query.weight", "layers.#.self_attn.q_proj.weight"},
    {"blocks.#.attention.query.bias", "layers.#.self_attn.q_proj.bias"},
    {"blocks.#.attention.key.weight", "layers.#.self_attn.k_proj.weight"},
    {"blocks.#.attention.key.bias", "layers.#.self_attn.k_proj.bias"},
    {"blocks.#.attention.value.weight", "layers.#.self_attn.v_proj.weight"},
    {"blocks.#.attention.value.bias", "layers.#.self_attn.v_proj.bias"},
    {"blocks.#.attention.query_norm.weight", "layers.#.self_attn.q_norm.weight"},
    {"blocks.#.attention.key_norm.weight", "layers.#.self_attn.k_norm.weight"},
    {"blocks.#.attention.out.weight", "layers.#.self_attn.o_proj.weight"},
    {"blocks.#.norm2.weight", "layers.#.post_attention_layernorm.weight"},
    {"blocks.#.net.gate.weight", "layers.#.mlp.gate_proj.weight"},
    {"blocks.#.net.up.weight", "layers.#.mlp.up_proj.weight"},
    {"blocks.#.net.down.weight", "layers.#.mlp.down_proj.weight"},
    {"final_norm.weight", "norm.weight"},
};
inline constexpr NameRule gpt2[] = {
    {"embedding.table", "wte.weight", token_rows},
    {"position", "wpe.weight"},
    {"blocks.#.norm1.weight", "h.#.ln_1.weight"},
    {"blocks.#.norm1.bias", "h.#.ln_1.bias"},
    {"blocks.#.attention.qkv.weight", "h.#.attn.c_attn.weight", transposed},
    {"blocks.#.attention.qkv.bias", "h.#.attn.c_attn.bias"},
    {"blocks.#.attention.out.weight", "h.#.attn.c_proj.weight", transposed},
    {"blocks.#.attention.out.bias", "h.#.attn.c_proj.bias"},
    {"blocks.#.norm2.weight", "h.#.ln_2.weight"},
    {"blocks.#.norm2.bias", "h.#.ln_2.bias"},
    {"blocks.#.up.weight", "h.#.mlp.c_fc.weight", transposed},
    {"blocks.#.up.bias", "h.#.mlp.c_fc.bias"},
    {"blocks.#.down.weight", "h.#.mlp.c_proj.weight", transposed},
    {"blocks.#.down.bias", "h.#.mlp.c_proj.bias"},
    {"final_norm.weight", "ln_f.weight"},
    {"final_norm.bias", "ln_f.bias"},
};
inline constexpr NameRule bert[] = {
    {"embedding.table", "embeddings.word_embeddings.weight", token_rows},
    {"position", "embeddings.position_embeddings.weight"},
    {"token_type", "embeddings.token_type_embeddings.weight"},
    {"embedding_norm.weight", "embeddings.LayerNorm.weight"},
    {"embedding_norm.bias", "embeddings.LayerNorm.bias"},
    {"blocks.#.attention.qkv.weight", "encoder.layer.#.attention.self.query.weight", stacked, 0, 3},
    {"blocks.#.attention.qkv.weight", "encoder.layer.#.attention.self.key.weight", stacked, 1, 3},
    {"blocks.#.attention.qkv.weight", "encoder.layer.#.attention.self.value.weight", stacked, 2, 3},
    {"blocks.#.attention.qkv.bias", "encoder.layer.#.attention.self.query.bias", stacked, 0, 3},
    {"blocks.#.attention.qkv.bias", "encoder.layer.#.attention.self.key.bias", stacked, 1, 3},
    {"blocks.#.attention.qkv.bias", "encoder.layer.#.attention.self.value.bias", stacked, 2, 3},
    {"blocks.#.attention.out.weight", "encoder.layer.#.attention.output.dense.weight"},
    {"blocks.#.attention.out.bias", "encoder.layer.#.attention.output.dense.bias"},
    {"blocks.#.norm1.weight", "encoder.layer.#.attention.output.LayerNorm.weight"},
    {"blocks.#.norm1.bias", "encoder.layer.#.attention.output.LayerNorm.bias"},
    {"blocks.#.up.weight", "encoder.layer.#.intermediate.dense.weight"},
    {"blocks.#.up.bias", "encoder.layer.#.intermediate.dense.bias"},
    {"blocks.#.down.weight", "encoder.layer.#.output.dense.weight"},
    {"blocks.#.down.bias", "encoder.layer.#.output.dense.bias"},
    {"blocks.#.norm2.weight", "encoder.layer.#.output.LayerNorm.weight"},
    {"blocks.#.norm2.bias", "encoder.layer.#.output.LayerNorm.bias"},
    {"pooler.weight", "pooler.dense.weight"},
    {"pooler.bias", "pooler.dense.bias"},
};
inline constexpr NameRule bert_heads[] = {
    {"head.map.weight", "cls.predictions.transform.dense.weight"},
    {"head.map.bias", "cls.predictions.transform.dense.bias"},
    {"head.norm.weight", "cls.predictions.transform.LayerNorm.weight"},
    {"head.norm.bias", "cls.predictions.transform.LayerNorm.bias"},
    {"head.bias", "cls.predictions.bias", token_rows},
    {"head.weight", "cls.predictions.decoder.weight", token_rows},
    {"next_text.weight", "cls.seq_relationship.weight"},
    {"next_text.bias", "cls.seq_relationship.bias"},
};
inline constexpr NameRule t5[] = {
    {"embedding.table", "shared.weight", token_rows},
    {"encoder.position.table",
     "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"},
    {"encoder.blocks.#.self_norm.weight", "encoder.block.#.layer.0.layer_norm.weight"},
    {"encoder.blocks.#.self.query.weight", "encoder.block.#.layer.0.SelfAttention.q.weight"},
    {"encoder.blocks.#.self.key_value.weight", "encoder.block.#.layer.0.SelfAttention.k.weight",
     stacked, 0, 2},
    {"encoder.blocks.#.self.key_value.weight", "encoder.block.#.layer.0.SelfAttention.v.weight",
     stacked, 1, 2},
    {"encoder.blocks.#.self.out.weight", "encoder.block.#.layer.0.SelfAttention.o.weight"},
    {"encoder.blocks.#.net_norm.weight", "encoder.block.#.layer.1.layer_norm.weight"},
    {"encoder.blocks.#.net.down.weight", "encoder.block.#.layer.1.DenseReluDense.wo.weight"},
    {"encoder.final_norm.weight", "encoder.final_layer_norm.weight"},
    {"decoder.position.table",
     "decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"},
    {"decoder.blocks.#.self_norm.weight", "decoder.block.#.layer.0.layer_norm.weight"},
    {"decoder.blocks.#.self.query.weight", "decoder.block.#.layer.0.SelfAttention.q.weight"},
    {"decoder.blocks.#.self.key_value.weight", "decoder.block.#.layer.0.SelfAttention.k.weight",
     stacked, 0, 2},
    {"decoder.blocks.#.self.key_value.weight", "decoder.block.#.layer.0.SelfAttention.v.weight",
     stacked, 1, 2},
    {"decoder.blocks.#.self.out.weight", "decoder.block.#.layer.0.SelfAttention.o.weight"},
    {"decoder.blocks.#.memory_norm.weight", "decoder.block.#.layer.1.layer_norm.weight"},
    {"decoder.blocks.#.memory.query.weight", "decoder.block.#.layer.1.EncDecAttention.q.weight"},
    {"decoder.blocks.#.memory.key_value.weight", "decoder.block.#.layer.1.EncDecAttention.k.weight",
     stacked, 0, 2},
    {"decoder.blocks.#.memory.key_value.weight", "decoder.block.#.layer.1.EncDecAttention.v.weight",
     stacked, 1, 2},
    {"decoder.blocks.#.memory.out.weight", "decoder.block.#.layer.1.EncDecAttention.o.weight"},
    {"decoder.blocks.#.net_norm.weight", "decoder.block.#.layer.2.layer_norm.weight"},
    {"decoder.blocks.#.net.down.weight", "decoder.block.#.layer.2.DenseReluDense.wo.weight"},
    {"decoder.final_norm.weight", "decoder.final_layer_norm.weight"},
};
inline constexpr NameRule t5_net[] = {
    {"encoder.blocks.#.net.up.weight", "encoder.block.#.layer.1.DenseReluDense.wi.weight"},
    {"decoder.blocks.#.net.up.weight", "decoder.block.#.layer.2.DenseReluDense.wi.weight"},
};
inline constexpr NameRule t5_gated_net[] = {
    {"encoder.blocks.#.net.gate.weight", "encoder.block.#.layer.1.DenseReluDense.wi_0.weight"},
    {"encoder.blocks.#.net.up.weight", "encoder.block.#.layer.1.DenseReluDense.wi_1.weight"},
    {"decoder.blocks.#.net.gate.weight", "decoder.block.#.layer.2.DenseReluDense.wi_0.weight"},
    {"decoder.blocks.#.net.up.weight", "decoder.block.#.layer.2.DenseReluDense.wi_1.weight"},
};
inline constexpr NameRule t5_heads[] = {
    {"head.weight", "lm_head.weight", token_rows},
    {"dense.weight", "linear.weight"},  // of sentence encoders, behind the mean
};
inline constexpr NameRule token_head[] = {{"head.weight", "lm_head.weight", token_rows},
                                          {"embedding.head", "lm_head.weight", token_rows}};

inline constexpr std::string_view no_prefix[] = {""}, model_prefix[] = {"model.", ""},
                                  gpt2_prefix[] = {"transformer.", ""},
                                  bert_prefix[] = {"", "bert."};

inline constexpr std::string_view rotary_buffers[] = {"layers.#.self_attn.rotary_emb.inv_freq",
                                                      "rotary_emb.inv_freq"};
inline constexpr std::string_view gpt2_buffers[] = {"h.#.attn.bias", "h.#.attn.masked_bias"};
// Copies of other tensors are buffers here, too.
inline constexpr std::string_view bert_buffers[] = {"embeddings.position_ids",
                                                    "cls.predictions.decoder.bias"};
inline constexpr std::string_view t5_buffers[] = {
    "encoder.embed_tokens.weight", "decoder.embed_tokens.weight",
    "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"};

inline constexpr std::string_view head_part[] = {"lm_head.weight"};
inline constexpr std::string_view bert_parts[] = {"pooler.*", "cls.predictions.*",
                                                  "cls.seq_relationship.*"};
inline constexpr std::string_view t5_parts[] = {"lm_head.weight", "linear.weight", "decoder.*"};

inline constexpr OlderEnd bert_ends[] = {{".LayerNorm.weight", ".LayerNorm.gamma"},
                                         {".LayerNorm.bias", ".LayerNorm.beta"}};

}  // namespace names

/// The names of a family.
inline NameMap name_map(const LanguageModelFacts& facts) {
  switch (facts.family) {
  case LanguageFamily::gpt2:
    return {names::gpt2_prefix,  names::gpt2,      {}, names::token_head,
            names::gpt2_buffers, names::head_part, {}};
  case LanguageFamily::bert:
    return {names::bert_prefix, names::bert,     {}, names::bert_heads, names::bert_buffers,
            names::bert_parts,  names::bert_ends};
  case LanguageFamily::t5:
    return {names::no_prefix,
            names::t5,
            facts.gated ? std::span<const NameRule>(names::t5_gated_net) : names::t5_net,
            names::t5_heads,
            names::t5_buffers,
            names::t5_parts,
            {}};
  default:
    return {names::model_prefix,   names::rotary_decoder, {}, names::token_head,
            names::rotary_buffers, names::head_part,      {}};
  }
}

/// Whether `name` is of the form of `pattern`. `block` receives the number that stands for #.
inline bool matches_pattern(std::string_view pattern, std::string_view name,
                            std::string_view* block = nullptr) {
  std::size_t at = 0;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '*' && i + 1 == pattern.size()) {
      return true;
    }
    if (pattern[i] != '#') {
      if (at == name.size() || name[at++] != pattern[i]) {
        return false;
      }
      continue;
    }
    const std::size_t begin = at;
    while (at < name.size() && name[at] >= '0' && name[at] <= '9') { ++at; }
    const bool number = at > begin && (at == begin + 1 || name[begin] != '0');
    if (!number) {
      return false;
    }
    if (block != nullptr) {
      *block = name.substr(begin, at - begin);
    }
  }
  return at == name.size();
}

/// A pattern with the number of a block in it.
inline std::string with_block(std::string_view pattern, std::string_view block) {
  std::string name(pattern);
  if (const auto at = name.find('#'); at != std::string::npos) {
    name.replace(at, 1, block);
  }
  return name;
}

}  // namespace simgr::SIMGR_ABI::io
