// SPDX-License-Identifier: Apache-2.0
#include <simgr/io/model_config.hpp>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <support/shared_folder.hpp>
#include <support/temporary_folder.hpp>

namespace {

using namespace simgr;
using io::LanguageFamily;
using io::LanguageHead;
using io::LanguageModelFacts;

const std::string qwen2_config = R"({"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"],
 "hidden_size": 896, "num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2,
 "intermediate_size": 4864, "vocab_size": 151936, "max_position_embeddings": 32768,
 "rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "hidden_act": "silu", "sliding_window": 32768,
 "use_sliding_window": false, "tie_word_embeddings": true, "torch_dtype": "bfloat16"})";
const std::string llama_config = R"({"model_type": "llama", "architectures": ["LlamaForCausalLM"],
 "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 96,
 "vocab_size": 100, "max_position_embeddings": 131072, "rms_norm_eps": 1e-05, "rope_theta": 500000,
 "rope_scaling": {"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
 "original_max_position_embeddings": 8192, "rope_type": "llama3"}})";
const std::string gpt2_config = R"({"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"],
 "n_embd": 768, "n_layer": 12, "n_head": 12, "n_ctx": 1024, "n_positions": 1024,
 "vocab_size": 50257, "activation_function": "gelu_new", "layer_norm_epsilon": 1e-05})";
const std::string bert_config = R"({"model_type": "bert", "hidden_size": 384, "vocab_size": 30522,
 "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536,
 "layer_norm_eps": 1e-12, "max_position_embeddings": 512, "type_vocab_size": 2})";
const std::string t5_config = R"({"model_type": "t5", "architectures": ["T5WithLMHeadModel"],
 "d_model": 512, "num_layers": 6, "num_heads": 8, "d_kv": 64, "d_ff": 2048, "vocab_size": 32128,
 "relative_attention_num_buckets": 32, "decoder_start_token_id": 0, "pad_token_id": 0})";

LanguageModelFacts facts_of(const std::string& text) {
  return io::try_parse_model_config(text, "config.json").value_or_raise();
}

/// The config with one piece of text in another's place.
std::string with(std::string config, const std::string& old, const std::string& now) {
  const auto at = config.find(old);
  REQUIRE(at != std::string::npos);
  return config.replace(at, old.size(), now);
}

}  // namespace

TEST_CASE("published configurations of every family, with what they leave out") {
  const LanguageModelFacts qwen2 = facts_of(qwen2_config);
  CHECK(qwen2.family == LanguageFamily::qwen2);
  CHECK(qwen2.head == LanguageHead::tokens);
  CHECK(qwen2.width == 896);
  CHECK(qwen2.layers == 24);
  CHECK(qwen2.heads == 14);
  CHECK(qwen2.key_value_heads == 2);
  CHECK(qwen2.head_width == 64);
  CHECK(qwen2.inner == 4864);
  CHECK(qwen2.vocabulary == 151936);
  CHECK(qwen2.angles.theta == 1e6);
  CHECK(qwen2.tied_head);
  CHECK(qwen2.query_key_value_bias);
  CHECK(qwen2.dtype == io::Dtype::bf16);
  CHECK(qwen2.causal);

  const LanguageModelFacts llama = facts_of(llama_config);
  CHECK(llama.key_value_heads == 4);
  CHECK_FALSE(llama.tied_head);
  CHECK_FALSE(llama.query_key_value_bias);
  CHECK(llama.angles == RotaryAngles{500000, 32, 1, 4, 8192});
  CHECK_FALSE(llama.dtype);
  CHECK(facts_of(with(llama_config, "\"rope_theta\": 500000,", "")).angles.theta == 10000);

  const LanguageModelFacts gpt2 = facts_of(gpt2_config);
  CHECK(gpt2.inner == 4 * 768);
  CHECK(gpt2.tied_head);
  CHECK(gpt2.head_width == 64);
  CHECK(gpt2.activation == io::LanguageActivation::gelu_tanh);

  const LanguageModelFacts bert = facts_of(bert_config);
  CHECK(bert.architecture == "BertModel");
  CHECK(bert.head == LanguageHead::none);
  CHECK_FALSE(bert.causal);
  CHECK(bert.epsilon == 1e-12);
  CHECK(bert.token_types == 2);
  CHECK(bert.activation == io::LanguageActivation::gelu_erf);

  const LanguageModelFacts t5 = facts_of(t5_config);
  CHECK(t5.decoder_layers == 6);
  CHECK(t5.positions == 0);
  CHECK(t5.tied_head);
  CHECK(t5.scaled_states);
  CHECK_FALSE(t5.gated);
  CHECK(t5.activation == io::LanguageActivation::relu);
  const LanguageModelFacts t5_v1_1 = facts_of(
      with(t5_config, "\"d_ff\"",
           "\"feed_forward_proj\": \"gated-gelu\", \"tie_word_embeddings\": false, \"d_ff\""));
  CHECK(t5_v1_1.gated);
  CHECK_FALSE(t5_v1_1.scaled_states);
  CHECK(t5_v1_1.activation == io::LanguageActivation::gelu_tanh);
  CHECK(facts_of(with(t5_config, "T5WithLMHeadModel", "T5EncoderModel")).decoder_layers == 0);
}

TEST_CASE("a configuration may name the token that ends a text, or several") {
  CHECK(
      facts_of(with(qwen2_config, "\"hidden_size\"", "\"eos_token_id\": 5, \"hidden_size\"")).end ==
      5);
  CHECK(facts_of(with(qwen2_config, "\"hidden_size\"", "\"eos_token_id\": [7, 5], \"hidden_size\""))
            .end == 7);
  for (const char* none : {"null", "[]"}) {
    CHECK(facts_of(with(qwen2_config, "\"hidden_size\"",
                        std::string("\"eos_token_id\": ") + none + ", \"hidden_size\""))
              .end == -1);
  }
}

TEST_CASE("a configuration that cannot be is refused, with file, field, expected and found") {
  struct Broken {
    std::string text, message;
  };
  const Broken cases[] = {
      {"", "config.json"},
      {"[]", "config.json: expected an object, found array"},
      {"{\"model_type\": \"qwen2\"", "config.json at byte"},
      {"{}", "model_type: expected one of qwen2, qwen3, llama, gpt2, bert, t5; found \"\""},
      {R"({"model_type": "mamba"})", "found \"mamba\""},
      {R"({"model_type": 7})", "model_type: expected text, found 7"},
      {with(qwen2_config, "Qwen2ForCausalLM", "Qwen2ForTokenClassification"),
       "architectures: expected one of Qwen2ForCausalLM, Qwen2Model; found "
       "\"Qwen2ForTokenClassification\""},
      {with(qwen2_config, "[\"Qwen2ForCausalLM\"]", "\"Qwen2ForCausalLM\""),
       "architectures: expected a list that begins with a name"},
      {with(qwen2_config, "[\"Qwen2ForCausalLM\"]", "[]"), "architectures: expected a list"},
      {with(qwen2_config, "896", "-896"),
       "hidden_size: expected an integer from 1 to 65536, found -896"},
      {with(qwen2_config, "896", "0"), "hidden_size: expected an integer from 1 to 65536, found 0"},
      {with(qwen2_config, "896", "896.5"), "hidden_size: expected an integer"},
      {with(qwen2_config, "896", "\"896\""),
       "hidden_size: expected an integer from 1 to 65536, found \"896\""},
      {with(qwen2_config, "896", "9223372036854775807"), "hidden_size: expected an integer"},
      {with(qwen2_config, "896", "9223372036854775808"), "64 bits"},
      {with(qwen2_config, "\"hidden_size\"", "\"eos_token_id\": 151936, \"hidden_size\""),
       "eos_token_id: expected a token, from 0 to 151935, or a list of them, found 151936"},
      {with(qwen2_config, "\"hidden_size\"", "\"eos_token_id\": [-1], \"hidden_size\""),
       "eos_token_id: expected a token"},
      {with(qwen2_config, "\"hidden_size\": 896,", ""),
       "hidden_size: expected an integer from 1 to 65536, found none"},
      {with(qwen2_config, "896", "895"),
       "hidden_size: expected a multiple of num_attention_heads 14, found 895"},
      {with(qwen2_config, "896", "14"), "head_dim: expected an even width of a head, found 1"},
      {with(qwen2_config, "\"num_key_value_heads\": 2", "\"num_key_value_heads\": 3"),
       "num_key_value_heads: expected a divisor of num_attention_heads 14, found 3"},
      {with(qwen2_config, "24", "1000000000"),
       "num_hidden_layers: expected an integer from 1 to 1024"},
      {with(qwen2_config, "151936", "4294967297"),
       "vocab_size: expected an integer from 1 to 16777216, found 4294967297"},
      {with(qwen2_config, "1e-06", "-1"), "rms_norm_eps: expected a number from 1e-20 to 1"},
      {with(qwen2_config, "1e-06", "true"), "rms_norm_eps: expected a number"},
      {with(qwen2_config, "1e-06", "NaN"), "not valid JSON"},
      {with(qwen2_config, "1000000.0", "0"), "rope_theta: expected a number from 1 to 1e+12"},
      {with(qwen2_config, "\"silu\"", "\"mish\""),
       "hidden_act: expected silu, gelu, gelu_new, gelu_pytorch_tanh or relu, found \"mish\""},
      {with(qwen2_config, "\"use_sliding_window\": false", "\"use_sliding_window\": true"),
       "use_sliding_window: expected false"},
      {with(qwen2_config, "\"tie_word_embeddings\": true", "\"tie_word_embeddings\": 1"),
       "tie_word_embeddings: expected true or false, found 1"},
      {with(qwen2_config, "bfloat16", "int8"),
       "torch_dtype: expected float32, float16 or bfloat16, found \"int8\""},
      {with(qwen2_config, "\"hidden_size\"",
            "\"layer_types\": [\"full_attention\", \"sliding_attention\"], \"hidden_size\""),
       "layer_types: expected a list of \"full_attention\" alone"},
      {with(qwen2_config, "\"hidden_size\"", "\"quantization_config\": {}, \"hidden_size\""),
       "quantization_config: quantised weights are not read"},
      {with(qwen2_config, "\"hidden_size\"", "\"hidden_size\": 3, \"hidden_size\""),
       "stands twice in one object"},
      {with(qwen2_config, "\"hidden_size\"",
            "\"rope_parameters\": {\"rope_theta\": 10000.0}, \"hidden_size\""),
       "rope_parameters.rope_theta: another number stands in rope_theta"},
      {with(qwen2_config, "\"hidden_size\"", "\"rope_parameters\": 3, \"hidden_size\""),
       "rope_parameters: expected an object, found 3"},
      {with(llama_config, "\"rope_type\": \"llama3\"", "\"rope_type\": \"yarn\""),
       "rope_scaling.rope_type: expected default or llama3, found \"yarn\""},
      {with(llama_config, "\"rope_type\": \"llama3\"", "\"type\": \"linear\""),
       "rope_scaling.type: expected default or llama3, found \"linear\""},
      {with(llama_config, "\"low_freq_factor\": 1.0", "\"low_freq_factor\": 4.0"),
       "rope_scaling.high_freq_factor: expected more than low_freq_factor, found 4"},
      {with(llama_config, "\"factor\": 32.0,", ""),
       "rope_scaling.factor: expected a number from 1 to 1e+06, found none"},
      {with(llama_config, "8192", "0"), "rope_scaling.original_max_position_embeddings: expected"},
      {with(llama_config, "\"hidden_size\"", "\"attention_bias\": true, \"hidden_size\""),
       "attention_bias: expected false: the projections have no biases, found true"},
      {with(llama_config, "\"hidden_size\"", "\"mlp_bias\": true, \"hidden_size\""), "mlp_bias"},
      {with(llama_config, "\"hidden_size\"", "\"partial_rotary_factor\": 0.5, \"hidden_size\""),
       "partial_rotary_factor: expected 1: heads are rotated whole, found 0.5"},
      {with(gpt2_config, "768", "767"), "n_embd: expected a multiple of n_head 12, found 767"},
      {with(gpt2_config, "\"n_embd\"", "\"scale_attn_weights\": false, \"n_embd\""),
       "scale_attn_weights: expected true"},
      {with(gpt2_config, "\"n_embd\"", "\"scale_attn_by_inverse_layer_idx\": true, \"n_embd\""),
       "scale_attn_by_inverse_layer_idx: expected false"},
      {with(gpt2_config, "\"n_embd\"", "\"n_inner\": 0, \"n_embd\""), "n_inner: expected"},
      {with(bert_config, "384", "385"), "hidden_size: expected a multiple"},
      {with(bert_config, "\"hidden_size\"",
            "\"position_embedding_type\": \"relative_key\", \"hidden_size\""),
       "position_embedding_type: expected absolute, found \"relative_key\""},
      {with(bert_config, "\"hidden_size\"", "\"is_decoder\": true, \"hidden_size\""),
       "is_decoder: expected false"},
      {with(t5_config, "\"d_ff\"", "\"feed_forward_proj\": \"gated-selu\", \"d_ff\""),
       "feed_forward_proj: expected silu"},
      {with(t5_config, "\"d_ff\"", "\"relative_attention_max_distance\": 16, \"d_ff\""),
       "relative_attention_max_distance: expected more than half"},
      {with(t5_config, "\"decoder_start_token_id\": 0", "\"decoder_start_token_id\": 32128"),
       "decoder_start_token_id: expected an integer from 0 to 32127, found 32128"},
      {std::string(20, '[') + std::string(20, ']'), "nested deeper than 16"},
  };
  for (const Broken& broken : cases) {
    CAPTURE(broken.text);
    const auto result = io::try_parse_model_config(broken.text, "config.json");
    REQUIRE_FALSE(result.ok());
    const std::string said = result.error().what();
    CAPTURE(said);
    CHECK(result.error().kind() == ErrorKind::data);
    CHECK(said.starts_with("config.json"));
    CHECK(said.find(broken.message) != std::string::npos);
  }
  std::printf("config.json: %zu that cannot be\n", std::size(cases));
}

TEST_CASE("a config.json that is no such file, or too large to be one") {
  const simgr_test::TemporaryFolder folder;
  CHECK_FALSE(io::try_read_model_config(folder.file("none")).ok());
  CHECK_FALSE(io::try_read_model_config(folder.path().string()).ok());
  simgr_test::write_bytes(folder.file("large"), std::string((1 << 20) + 1, ' '));
  const auto large = io::try_read_model_config(folder.file("large"));
  REQUIRE_FALSE(large.ok());
  CHECK(std::string(large.error().what()).find("at most 1048576 bytes") != std::string::npos);
  simgr_test::write_bytes(folder.file("good"), qwen2_config);
  CHECK(io::read_model_config(folder.file("good")) == facts_of(qwen2_config));
}

TEST_SUITE("golden") {
  TEST_CASE("both forms of every config.json say the same") {
    const auto shared = simgr_test::shared_folder();
    if (!shared) {
      return;
    }
    std::size_t files = 0, pairs = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(*shared / "golden")) {
      if (entry.path().filename() != "config.json") {
        continue;
      }
      CAPTURE(entry.path().string());
      const LanguageModelFacts facts = io::read_model_config(entry.path().string());
      CHECK(facts.width > 0);
      CHECK(facts.heads % facts.key_value_heads == 0);
      ++files;
      const auto published = entry.path().parent_path() / "config.published.json";
      if (std::filesystem::exists(published)) {
        CHECK(io::read_model_config(published.string()) == facts);
        ++pairs;
      }
    }
    CHECK(files > 0);
    std::printf("golden config.json: %zu files, %zu in both forms\n", files, pairs);
  }
}
