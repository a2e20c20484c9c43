// SPDX-License-Identifier: Apache-2.0
// Mutated config.json, index and safetensors header: read or refused with a DataError, never more. A
// few seconds of it, or SIMGR_FUZZ_SECONDS of each.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>
#include <support/temporary_folder.hpp>

#include <simgr/core/rng.hpp>
#include <simgr/io/model_config.hpp>
#include <simgr/io/model_layout.hpp>
#include <simgr/io/model_weights.hpp>

namespace {

using namespace simgr;

/// Changes a text: bytes, pieces of it, and what JSON readers stumble over.
class Mutator {
public:
  explicit Mutator(std::uint64_t seed) : rng_(seed, 0) {}

  std::string mutate(std::string text) {
    for (Index change = below(4); change >= 0; --change) {
      const auto at = static_cast<std::size_t>(below(static_cast<Index>(text.size()) + 1));
      const auto length = static_cast<std::size_t>(below(12));
      switch (below(6)) {
      case 0:
        text.insert(at, 1, static_cast<char>(below(256)));
        break;
      case 1:
        if (at < text.size()) {
          text[at] = static_cast<char>(below(256));
        }
        break;
      case 2:
        text.erase(at, length);
        break;
      case 3:
        text.insert(
            at, text.substr(static_cast<std::size_t>(below(static_cast<Index>(text.size()) + 1)),
                            length * 4));
        break;
      default:
        replace_number_or_word(text, at);
        break;
      }
    }
    return text;
  }

private:
  Index below(Index bound) {
    return static_cast<Index>(rng_.uniform() * static_cast<double>(bound));
  }

  /// Another value in the place of the one behind `at`.
  void replace_number_or_word(std::string& text, std::size_t at) {
    static constexpr std::string_view values[] = {"0",
                                                  "-1",
                                                  "1",
                                                  "2",
                                                  "3",
                                                  "65536",
                                                  "65537",
                                                  "4294967296",
                                                  "9223372036854775807",
                                                  "9223372036854775808",
                                                  "-9223372036854775808",
                                                  "1e308",
                                                  "1e309",
                                                  "0.5",
                                                  "null",
                                                  "true",
                                                  "\"\"",
                                                  "[]",
                                                  "{}",
                                                  "[[[[]]]]",
                                                  "\"../x.safetensors\"",
                                                  "\"llama3\"",
                                                  "\"BF16\"",
                                                  "\"F99\"",
                                                  "\"\\u0000\"",
                                                  "\"\\ud800\"",
                                                  "NaN"};
    const std::size_t colon = text.find(':', at);
    if (colon == std::string::npos) {
      return;
    }
    const std::size_t end = std::min(text.find_first_of(",}]", colon), text.size());
    text.replace(colon + 1, end - colon - 1,
                 values[static_cast<std::size_t>(below(static_cast<Index>(std::size(values))))]);
  }

  Rng rng_;
};

/// Calls `attempt` with mutations of the seeds for a while; it returns whether it read them.
template <class Attempt>
void fuzz(const char* name, const std::vector<std::string>& seeds, Attempt&& attempt) {
  const char* asked = std::getenv("SIMGR_FUZZ_SECONDS");
  const double seconds = asked != nullptr ? std::atof(asked) : 0.7;
  const auto start = std::chrono::steady_clock::now();
  Index tries = 0, read = 0;
  double longest = 0;
  for (std::chrono::duration<double> passed{0}; passed.count() < seconds; ++tries) {
    const auto before = std::chrono::steady_clock::now();
    Mutator mutator(static_cast<std::uint64_t>(tries));
    const std::string text = mutator.mutate(seeds[static_cast<std::size_t>(tries) % seeds.size()]);
    CAPTURE(text);
    read += attempt(text) ? 1 : 0;
    const auto after = std::chrono::steady_clock::now();
    longest = std::max(longest, std::chrono::duration<double>(after - before).count());
    passed = after - start;
  }
  CHECK(tries > 100);
  CHECK(read > 0);
  CHECK(read < tries);
  CHECK(longest < 1);
  std::printf("%s: %td mutations, %td read, the slowest in %.0f us\n", name, tries, read,
              1e6 * longest);
}

template <class T>
bool read_or_refused(const Result<T>& result) {
  if (!result.ok() && result.error().kind() != ErrorKind::data) {
    FAIL("another error: ", result.error().what());
  }
  return result.ok();
}

const std::vector<std::string> fuzzed_configs = {
    R"({"model_type":"qwen2","hidden_size":64,"num_hidden_layers":2,"num_attention_heads":4,)"
    R"("num_key_value_heads":2,"intermediate_size":96,"vocab_size":100,"rope_theta":1000000.0,)"
    R"("rms_norm_eps":1e-06,"tie_word_embeddings":true,"torch_dtype":"bfloat16"})",
    R"({"model_type":"llama","architectures":["LlamaForCausalLM"],"hidden_size":64,)"
    R"("num_hidden_layers":2,"num_attention_heads":4,"intermediate_size":96,"vocab_size":100,)"
    R"("head_dim":16,"rope_parameters":{"rope_type":"llama3","rope_theta":500000.0,"factor":8.0,)"
    R"("low_freq_factor":1.0,"high_freq_factor":4.0,"original_max_position_embeddings":64}})",
    R"({"model_type":"gpt2","n_embd":64,"n_layer":2,"n_head":4,"n_inner":null,"vocab_size":100})",
    R"({"model_type":"bert","hidden_size":64,"num_hidden_layers":2,"num_attention_heads":4,)"
    R"("intermediate_size":96,"vocab_size":100,"layer_norm_eps":1e-12,"type_vocab_size":2})",
    R"({"model_type":"t5","d_model":64,"num_layers":2,"num_heads":4,"d_kv":16,"d_ff":96,)"
    R"("vocab_size":100,"relative_attention_num_buckets":32,"feed_forward_proj":"gated-gelu",)"
    R"("decoder_start_token_id":0})"};

}  // namespace

TEST_CASE("fuzz: config.json") {
  fuzz("config.json", fuzzed_configs, [](const std::string& text) {
    const auto facts = io::try_parse_model_config(text, "config.json");
    if (!read_or_refused(facts)) {
      return false;
    }
    const io::LanguageModelFacts& f = facts.value();
    for (const Index extent :
         {f.width, f.layers, f.heads, f.key_value_heads, f.head_width, f.inner, f.vocabulary}) {
      CHECK(extent >= 1);
      CHECK(extent <= Index{1} << 24);
    }
    CHECK(f.heads % f.key_value_heads == 0);
    CHECK(f.epsilon > 0);
    CHECK(f.decoder_start < f.vocabulary);
    if (f.layers + f.decoder_layers <= 4) {
      CHECK(io::model_layout(f).parameters() > 0);  // no extent overflows
    }
    return true;
  });
}

TEST_CASE("fuzz: an index of shards") {
  const std::string one = "\"model-00001-of-00002.safetensors\"";
  const std::string two = "\"model-00002-of-00002.safetensors\"";
  fuzz("index",
       {R"({"metadata":{"total_size":36},"weight_map":{"a":)" + one + R"(,"b.weight":)" + two +
        R"(,"c":)" + two + "}}"},
       [](const std::string& text) {
         const auto index = io::try_parse_shard_index(text, "index.json");
         if (!read_or_refused(index)) {
           return false;
         }
         for (const std::string& shard : index.value().shards) {
           CHECK(shard.find('/') == std::string::npos);
           CHECK(shard.find('\0') == std::string::npos);
           CHECK(shard.ends_with(".safetensors"));
         }
         for (const auto& tensor : index.value().tensors) {
           CHECK(tensor.shard < index.value().shards.size());
         }
         return true;
       });
}

TEST_CASE("fuzz: a safetensors header, and the checkpoint that it makes") {
  const simgr_test::TemporaryFolder folder;
  const std::string path = folder.file("model.safetensors");
  const auto facts = io::try_parse_model_config(fuzzed_configs[2]).value_or_raise();
  const ParameterTable table = io::model_layout(facts);
  std::vector<float> block(static_cast<std::size_t>(table.block_size));
  const std::string header =
      R"({"__metadata__":{"format":"pt"},"wte.weight":{"dtype":"F32","shape":[2,3],)"
      R"("data_offsets":[0,24]},"h.0.ln_1.weight":{"dtype":"BF16","shape":[4],)"
      R"("data_offsets":[24,32]},"h.0.attn.bias":{"dtype":"F16","shape":[],)"
      R"("data_offsets":[32,34]}})";
  fuzz("safetensors", {header}, [&](const std::string& text) {
    const auto parsed = io::try_parse_safetensors_header(text, "file");
    const bool read = read_or_refused(parsed);
    if (text.size() % 16 != 0) {  // files are slow
      return read;
    }
    std::string bytes(8, '\0');
    for (std::size_t i = 0; i < 8; ++i) { bytes[i] = static_cast<char>(text.size() >> (8 * i)); }
    simgr_test::write_bytes(path, bytes + text + std::string(34, 'x'));
    for (const io::Residence residence : {io::Residence::mapped, io::Residence::copied}) {
      const auto opened = io::ModelFolder::try_open(folder.path().string(), residence);
      if (!read_or_refused(opened)) {
        continue;
      }
      for (const auto& tensor : opened.value().tensors()) {
        const std::span<const std::byte> all = tensor.view->bytes;
        CHECK(all.size() <= 34);
        CHECK(std::count(all.begin(), all.end(), std::byte{'x'}) ==
              static_cast<std::ptrdiff_t>(all.size()));
      }
      CHECK(io::try_load_parameters(opened.value(), facts, table, std::span<float>(block)));
    }
    return read;
  });
}
