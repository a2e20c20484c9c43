// SPDX-License-Identifier: Apache-2.0
#include <simgr/io/model_weights.hpp>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <support/shared_folder.hpp>
#include <support/temporary_folder.hpp>

#include <simgr/io/model_config.hpp>
#include <simgr/io/model_layout.hpp>
#include <simgr/io/safetensors_writer.hpp>

namespace {

using namespace simgr;
using simgr_test::TemporaryFolder;

io::LanguageModelFacts small_facts(io::LanguageFamily family) {
  io::LanguageModelFacts facts;
  facts.family = family;
  facts.head = io::LanguageHead::tokens;
  facts.width = 8;
  facts.layers = 2;
  facts.heads = facts.key_value_heads = 2;
  facts.head_width = 4;
  facts.inner = 12;
  facts.vocabulary = 5;
  facts.positions = 7;
  facts.tied_head = true;
  facts.query_key_value_bias = family == io::LanguageFamily::qwen2;
  facts.buckets = 4;
  facts.farthest = 8;
  facts.token_types = 2;
  return facts;
}

void append_tensor(ParameterTable& table, const std::string& name, std::vector<Index> shape) {
  Index size = 1;
  for (const Index extent : shape) { size *= extent; }
  table.tensors.push_back({name, std::move(shape), table.block_size, size, {}});
  table.block_size += (size + 15) / 16 * 16;
}

/// Tensors that a file shall have, each element another number.
class PublishedFile {
public:
  void add(const std::string& name, std::vector<Index> shape) {
    Index size = 1;
    for (const Index extent : shape) { size *= extent; }
    std::vector<float> values(static_cast<std::size_t>(size));
    for (float& value : values) { value = next_++; }
    list_.add_copy(name, std::move(shape), std::span<const float>(values));
  }
  void add_linear(const std::string& name, Index out, Index in) {
    add(name + ".weight", {out, in});
    add(name + ".bias", {out});
  }
  simgr::io::TensorList& list() { return list_; }
  io::ModelFolder write(const TemporaryFolder& folder) const {
    io::write_safetensors(folder.file("model.safetensors"), list_);
    return io::ModelFolder::open(folder.path().string());
  }

private:
  io::TensorList list_;
  float next_ = 1;
};

/// What a published qwen2 file of the small facts has.
PublishedFile qwen2_file(const std::string& prefix = "model.", Index layers = 2) {
  PublishedFile file;
  file.add(prefix + "embed_tokens.weight", {5, 8});
  for (Index i = 0; i < layers; ++i) {
    const std::string layer = prefix + "layers." + std::to_string(i) + ".";
    file.add(layer + "input_layernorm.weight", {8});
    for (const char* map : {"q_proj", "k_proj", "v_proj"}) {
      file.add_linear(layer + "self_attn." + map, 8, 8);
    }
    file.add(layer + "self_attn.o_proj.weight", {8, 8});
    file.add(layer + "post_attention_layernorm.weight", {8});
    file.add(layer + "mlp.gate_proj.weight", {12, 8});
    file.add(layer + "mlp.up_proj.weight", {12, 8});
    file.add(layer + "mlp.down_proj.weight", {8, 12});
  }
  file.add(prefix + "norm.weight", {8});
  return file;
}

std::span<const float> of(const ParameterTable& table, const std::vector<float>& block,
                          const std::string& name) {
  for (const TensorEntry& tensor : table.tensors) {
    if (tensor.name == name) {
      return std::span<const float>(block).subspan(static_cast<std::size_t>(tensor.offset),
                                                   static_cast<std::size_t>(tensor.size));
    }
  }
  FAIL("no tensor " << name);
  return {};
}

std::vector<float> published(const io::ModelFolder& folder, const std::string& name) {
  const io::TensorView* view = folder.find(name);
  REQUIRE_MESSAGE(view != nullptr, name);
  std::vector<float> values(static_cast<std::size_t>(view->size()));
  CHECK_FALSE(io::convert(*view, values.data()));
  return values;
}

bool equal(std::span<const float> a, const std::vector<float>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

/// The message of a load that fails, and leaves the block alone.
std::string load_refusal(const io::ModelFolder& folder, const io::LanguageModelFacts& facts,
                         const ParameterTable& table, const io::WeightOptions& options = {}) {
  std::vector<float> block(static_cast<std::size_t>(table.block_size), 0.5f);
  const auto failure =
      io::try_load_parameters(folder, facts, table, std::span<float>(block), options);
  REQUIRE(failure);
  CHECK(std::all_of(block.begin(), block.end(), [](float value) { return value == 0.5f; }));
  return failure->what();
}

}  // namespace

TEST_CASE("weights of a rotary decoder, with and without the prefix") {
  const TemporaryFolder folder;
  const io::LanguageModelFacts facts = small_facts(io::LanguageFamily::qwen2);
  const ParameterTable table = io::model_layout(facts);
  for (const std::string prefix : {"model.", ""}) {
    const io::ModelFolder files = qwen2_file(prefix).write(folder);
    std::vector<float> block(static_cast<std::size_t>(table.block_size));
    io::load_parameters(files, facts, table, std::span<float>(block));
    const std::pair<std::string, std::string> pairs[] = {
        {"embedding.table", "embed_tokens.weight"},
        {"blocks.0.norm1.weight", "layers.0.input_layernorm.weight"},
        {"blocks.1.attention.query.weight", "layers.1.self_attn.q_proj.weight"},
        {"blocks.1.attention.key.bias", "layers.1.self_attn.k_proj.bias"},
        {"blocks.0.attention.value.weight", "layers.0.self_attn.v_proj.weight"},
        {"blocks.0.attention.out.weight", "layers.0.self_attn.o_proj.weight"},
        {"blocks.1.norm2.weight", "layers.1.post_attention_layernorm.weight"},
        {"blocks.1.net.gate.weight", "layers.1.mlp.gate_proj.weight"},
        {"blocks.1.net.up.weight", "layers.1.mlp.up_proj.weight"},
        {"blocks.1.net.down.weight", "layers.1.mlp.down_proj.weight"},
        {"final_norm.weight", "norm.weight"},
    };
    for (const auto& [ours, theirs] : pairs) {
      CAPTURE(ours);
      CHECK(equal(of(table, block, ours), published(files, prefix + theirs)));
    }
    std::vector<double> wide(static_cast<std::size_t>(table.block_size));
    io::load_parameters(files, facts, table, std::span<double>(wide));
    CHECK(std::equal(wide.begin(), wide.end(), block.begin()));
  }
}

TEST_CASE("a model under a prefix, with tokens of its own, adapters and other parts") {
  const TemporaryFolder folder;
  const io::LanguageModelFacts facts = small_facts(io::LanguageFamily::qwen2);
  ParameterTable table = io::model_layout<Lora<Linear>>(facts, {"encoder.", 3});
  append_tensor(table, "pooler.own", {4});
  const io::ModelFolder files = qwen2_file().write(folder);
  std::vector<float> block(static_cast<std::size_t>(table.block_size), -1);
  const io::WeightOptions options{"encoder.", 3};
  io::load_parameters(files, facts, table, std::span<float>(block), options);
  const auto tokens = of(table, block, "encoder.embedding.table");
  CHECK(equal(tokens.first(40), published(files, "model.embed_tokens.weight")));
  CHECK(equal(tokens.subspan(40), std::vector<float>(24, -1)));
  CHECK(equal(of(table, block, "encoder.blocks.1.net.up.base.weight"),
              published(files, "model.layers.1.mlp.up_proj.weight")));
  CHECK(of(table, block, "encoder.blocks.1.net.up.a").front() == -1);
  CHECK(of(table, block, "encoder.blocks.1.attention.query.b").front() == -1);
  CHECK(of(table, block, "pooler.own").front() == -1);
  CHECK(
      load_refusal(files, facts, table, {"encoder.", 2}).find("expected [6, 8], file has [5, 8]") !=
      std::string::npos);
  CHECK(load_refusal(files, facts, table, {"nothing.", 0}).find("no tensors of this prefix") !=
        std::string::npos);
}

TEST_CASE("GPT-2's matrices are turned, BERT's and T5's are stacked") {
  const TemporaryFolder folder;
  {
    const io::LanguageModelFacts facts = small_facts(io::LanguageFamily::gpt2);
    const ParameterTable table = io::model_layout(facts);
    PublishedFile file;
    file.add("wte.weight", {5, 8});
    file.add("wpe.weight", {7, 8});
    for (const std::string layer : {"h.0.", "h.1."}) {
      file.add(layer + "attn.bias", {1, 1, 7, 7});
      for (const auto& [name, in, out] :
           std::vector<std::tuple<std::string, Index, Index>>{{"attn.c_attn", 8, 24},
                                                              {"attn.c_proj", 8, 8},
                                                              {"mlp.c_fc", 8, 12},
                                                              {"mlp.c_proj", 12, 8}}) {
        file.add(layer + name + ".weight", {in, out});
        file.add(layer + name + ".bias", {out});
      }
      for (const char* norm : {"ln_1", "ln_2"}) {
        file.add(layer + norm + ".weight", {8});
        file.add(layer + norm + ".bias", {8});
      }
    }
    file.add("ln_f.weight", {8});
    file.add("ln_f.bias", {8});
    const io::ModelFolder files = file.write(folder);
    std::vector<float> block(static_cast<std::size_t>(table.block_size));
    io::load_parameters(files, facts, table, std::span<float>(block));
    for (const auto& [ours, theirs, in, out] :
         std::vector<std::tuple<std::string, std::string, std::size_t, std::size_t>>{
             {"blocks.1.attention.qkv.weight", "h.1.attn.c_attn.weight", 8, 24},
             {"blocks.0.down.weight", "h.0.mlp.c_proj.weight", 12, 8}}) {
      const auto found = of(table, block, ours);
      const auto stored = published(files, theirs);
      for (std::size_t i = 0; i < in; ++i) {
        for (std::size_t o = 0; o < out; ++o) { CHECK(found[o * in + i] == stored[i * out + o]); }
      }
    }
    CHECK(equal(of(table, block, "blocks.1.up.bias"), published(files, "h.1.mlp.c_fc.bias")));
  }
  {
    io::LanguageModelFacts facts = small_facts(io::LanguageFamily::bert);
    facts.head = io::LanguageHead::none;
    const ParameterTable table = io::model_layout(facts);
    PublishedFile file;
    file.add("embeddings.position_ids", {1, 7});
    file.add("embeddings.word_embeddings.weight", {5, 8});
    file.add("embeddings.position_embeddings.weight", {7, 8});
    file.add("embeddings.token_type_embeddings.weight", {2, 8});
    file.add("embeddings.LayerNorm.gamma", {8});  // as old files call them
    file.add("embeddings.LayerNorm.beta", {8});
    for (const std::string layer : {"encoder.layer.0.", "encoder.layer.1."}) {
      for (const char* map : {"query", "key", "value"}) {
        file.add_linear(layer + "attention.self." + map, 8, 8);
      }
      file.add_linear(layer + "attention.output.dense", 8, 8);
      file.add_linear(layer + "intermediate.dense", 12, 8);
      file.add_linear(layer + "output.dense", 8, 12);
      for (const char* norm : {"attention.output.LayerNorm", "output.LayerNorm"}) {
        file.add(layer + norm + ".weight", {8});
        file.add(layer + norm + ".bias", {8});
      }
    }
    file.add_linear("pooler.dense", 8, 8);  // a part that is not asked for
    const io::ModelFolder files = file.write(folder);
    std::vector<float> block(static_cast<std::size_t>(table.block_size));
    io::load_parameters(files, facts, table, std::span<float>(block));
    const auto qkv = of(table, block, "blocks.1.attention.qkv.weight");
    const auto bias = of(table, block, "blocks.1.attention.qkv.bias");
    std::size_t part = 0;
    for (const std::string map : {"query", "key", "value"}) {
      const std::string name = "encoder.layer.1.attention.self." + map;
      CHECK(equal(qkv.subspan(part * 64, 64), published(files, name + ".weight")));
      CHECK(equal(bias.subspan(part * 8, 8), published(files, name + ".bias")));
      ++part;
    }
    CHECK(equal(of(table, block, "embedding_norm.weight"),
                published(files, "embeddings.LayerNorm.gamma")));
    CHECK(equal(of(table, block, "blocks.0.norm2.bias"),
                published(files, "encoder.layer.0.output.LayerNorm.bias")));
  }
}

TEST_CASE("everything that does not fit is in one error, and nothing is written") {
  const TemporaryFolder folder;
  const io::LanguageModelFacts facts = small_facts(io::LanguageFamily::qwen2);
  const ParameterTable table = io::model_layout(facts);
  PublishedFile file;
  file.add("model.embed_tokens.weight", {6, 8});
  file.add("model.layers.0.self_attn.rotary_emb.inv_freq", {2});
  file.add("model.layers.0.self_attn.q_norm.weight", {4});
  file.add("lm_head.weight", {5, 8});
  file.add("something.else", {1});
  const std::vector<std::int64_t> whole(8, 1);
  file.list().add("model.norm.weight", {8}, std::span<const std::int64_t>(whole));
  const std::string said = load_refusal(file.write(folder), facts, table);
  CAPTURE(said);
  CHECK(
      said.starts_with(folder.file("model.safetensors") + ": 28 tensors do not match the model: "));
  for (const char* part : {"model.embed_tokens.weight: expected [5, 8], file has [6, 8]",
                           "model.layers.0.self_attn.q_proj.weight: expected [8, 8], file has none",
                           "model.layers.1.mlp.down_proj.weight: expected [8, 12], file has none",
                           "model.norm.weight: expected F32, F16 or BF16, file has I64",
                           "model.layers.0.self_attn.q_norm.weight: not expected, file has [4]",
                           "something.else: not expected, file has [1]"}) {
    CAPTURE(part);
    CHECK(said.find(part) != std::string::npos);
  }
  CHECK(said.find("lm_head") == std::string::npos);
  CHECK(said.find("inv_freq") == std::string::npos);
  // A third layer that the model does not have.
  const std::string longer = load_refusal(qwen2_file("model.", 3).write(folder), facts, table);
  CHECK(longer.find("12 tensors do not match the model: model.layers.2.input_layernorm.weight: not "
                    "expected") != std::string::npos);
  // A tensor of ours that no file has.
  ParameterTable more = table;
  append_tensor(more, "blocks.0.invented", {4});
  CHECK(load_refusal(qwen2_file().write(folder), facts, more)
            .find("blocks.0.invented: no file of qwen2 has such a tensor") != std::string::npos);
}

TEST_CASE("a part is read as a whole or not at all") {
  const TemporaryFolder folder;
  io::LanguageModelFacts facts = small_facts(io::LanguageFamily::t5);
  facts.decoder_layers = 2;
  const ParameterTable both = io::model_layout(facts);
  const auto names_of_table = [](const io::LanguageModelFacts& shape, const ParameterTable& table) {
    PublishedFile file;
    for (const TensorEntry& tensor : table.tensors) {
      const io::NameMap map = io::name_map(shape);
      for (const auto rules : {map.body, map.net, map.heads}) {
        for (const io::NameRule& rule : rules) {
          std::string_view block;
          if (io::matches_pattern(rule.ours, tensor.name, &block)) {
            std::vector<Index> extents = tensor.shape;
            extents[0] /= rule.parts;
            file.add(io::with_block(rule.published, block), extents);
          }
        }
      }
    }
    return file;
  };
  const io::ModelFolder files = names_of_table(facts, both).write(folder);
  io::LanguageModelFacts encoder = facts;
  encoder.decoder_layers = 0;
  const ParameterTable reader = io::model_layout(encoder);
  std::vector<float> block(static_cast<std::size_t>(reader.block_size));
  io::load_parameters(files, encoder, reader, std::span<float>(block));
  const auto key_value = of(reader, block, "encoder.blocks.1.self.key_value.weight");
  CHECK(equal(key_value.first(64),
              published(files, "encoder.block.1.layer.0.SelfAttention.k.weight")));
  CHECK(equal(key_value.last(64),
              published(files, "encoder.block.1.layer.0.SelfAttention.v.weight")));
  io::LanguageModelFacts shorter = facts;
  shorter.decoder_layers = 1;
  CHECK(load_refusal(files, shorter, io::model_layout(shorter))
            .find("decoder.block.1.layer.0.layer_norm.weight: not expected") != std::string::npos);
}

TEST_CASE("what is not finite is refused, in every type") {
  const TemporaryFolder folder;
  const io::LanguageModelFacts facts = small_facts(io::LanguageFamily::qwen2);
  const ParameterTable table = io::model_layout(facts);
  const float bad[] = {std::numeric_limits<float>::infinity(),
                       -std::numeric_limits<float>::infinity(),
                       std::numeric_limits<float>::quiet_NaN()};
  for (const io::Dtype dtype : {io::Dtype::f32, io::Dtype::f16, io::Dtype::bf16}) {
    for (const float value : bad) {
      io::TensorList list;
      const PublishedFile whole = qwen2_file();
      std::vector<float> values(40, 1.0f);
      values[33] = value;
      PublishedFile source = qwen2_file();
      for (const io::TensorView& tensor : source.list().tensors()) {
        if (tensor.name != "model.embed_tokens.weight") {
          list.add(tensor.name, tensor.shape,
                   std::span(reinterpret_cast<const float*>(tensor.bytes.data()),
                             static_cast<std::size_t>(tensor.size())));
        } else if (dtype == io::Dtype::f32) {
          list.add(tensor.name, tensor.shape, std::span<const float>(values));
        } else {
          list.add_rounded(tensor.name, dtype, tensor.shape, values);
        }
      }
      io::write_safetensors(folder.file("model.safetensors"), list);
      CHECK(load_refusal(io::ModelFolder::open(folder.path().string()), facts, table)
                .find("model.embed_tokens.weight: element 33 is not a finite number") !=
            std::string::npos);
    }
  }
}

TEST_SUITE("golden") {
  TEST_CASE("every golden checkpoint is read whole, from each of its files") {
    const auto shared = simgr_test::shared_folder();
    if (!shared) {
      return;
    }
    std::size_t checkpoints = 0, tensors = 0;
    for (const auto& entry : std::filesystem::directory_iterator(*shared / "golden/models")) {
      if (!entry.is_directory()) {
        continue;
      }
      const auto facts = io::read_model_config((entry.path() / "config.json").string());
      const ParameterTable table = io::model_layout(facts);
      std::vector<double> first;
      std::vector<std::filesystem::path> sources{entry.path()};
      for (const auto& file : std::filesystem::directory_iterator(entry.path())) {
        const std::string name = file.path().filename().string();
        if (file.is_directory() || (name.starts_with("model.") && name != "model.safetensors")) {
          sources.push_back(file.path());
        }
      }
      for (const auto& source : sources) {
        CAPTURE(source.string());
        const io::ModelFolder files = io::ModelFolder::open(source.string());
        std::vector<double> block(static_cast<std::size_t>(table.block_size));
        io::load_parameters(files, facts, table, std::span<double>(block));
        double sum = 0, stored = 0;  // of squares: each number once, wherever it went
        for (const double value : block) { sum += value * value; }
        const auto plan = io::try_plan_tensors(files, facts, table).value_or_raise();
        for (const io::PlannedTensor& planned : plan) {
          for (const float value : published(files, planned.published->name)) {
            stored += static_cast<double>(value) * static_cast<double>(value);
          }
          ++tensors;
        }
        CHECK(sum == doctest::Approx(stored).epsilon(1e-12));
        if (first.empty()) {
          first = block;
        }
        const bool rounded = source.string().find("bf16") != std::string::npos;
        double gap = 0;
        for (std::size_t i = 0; i < block.size(); ++i) {
          gap = std::max(gap, std::fabs(block[i] - first[i]) / (std::fabs(first[i]) + 1e-30));
        }
        CHECK(gap <= (rounded ? 1.0 / 256 : 0.0));
        ++checkpoints;
      }
    }
    CHECK(checkpoints > 0);
    std::printf("golden checkpoints: %zu read, %zu tensors\n", checkpoints, tensors);
  }
}
