// SPDX-License-Identifier: Apache-2.0
#include <simgr/io/adapter_folder.hpp>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <support/shared_folder.hpp>
#include <support/temporary_folder.hpp>

#include <simgr/encoder/causal_lm.hpp>
#include <simgr/encoder/item_embedding.hpp>
#include <simgr/encoder/transformer.hpp>
#include <simgr/io/mapped_weights.hpp>
#include <simgr/io/model_config.hpp>
#include <simgr/io/model_layout.hpp>

namespace {

using namespace simgr;
using simgr_test::TemporaryFolder;
using AdaptedLm = CausalLm<ItemEmbedding, Lora<Linear>>;

io::LanguageModelFacts adapted_facts() {
  io::LanguageModelFacts facts;
  facts.family = io::LanguageFamily::qwen2;
  facts.head = io::LanguageHead::tokens;
  facts.width = 8;
  facts.layers = 2;
  facts.heads = 2;
  facts.key_value_heads = 1;
  facts.head_width = 4;
  facts.inner = 12;
  facts.vocabulary = 5;
  facts.tied_head = facts.query_key_value_bias = true;
  return facts;
}

/// Adapters of three numbers on queries and on the last maps of the nets.
const Adapters some_adapters{.rank = 3,
                             .alpha = 4.5,
                             .dropout = 0.25,
                             .key = false,
                             .value = false,
                             .out = false,
                             .gate = false,
                             .up = false};

template <class E = AdaptedLm>
ParameterTable adapted_table(const Adapters& adapters = some_adapters) {
  typename E::Config config{};
  config.width = 8;
  config.heads = 2;
  config.kv_heads = 1;
  config.inner = 12;
  config.biased = true;
  config.catalogue.items = 5;
  config.adapters = adapters;
  return describe<E>(config);
}

std::vector<float> counted_block(const ParameterTable& table) {
  std::vector<float> block(static_cast<std::size_t>(table.block_size));
  float next = 1;
  for (float& value : block) { value = 0.125f * next++; }
  return block;
}

bool of_adapter(const TensorEntry& tensor) {
  return tensor.name.ends_with(".a") || tensor.name.ends_with(".b");
}

/// Tensors of adapters as in `expected`; everything else still `untouched`.
void check_loaded(const ParameterTable& table, const std::vector<float>& block,
                  const std::vector<float>& expected, float untouched) {
  for (const TensorEntry& tensor : table.tensors) {
    INFO(tensor.name);
    for (Index i = tensor.offset; i < tensor.offset + tensor.room(); ++i) {
      const auto at = static_cast<std::size_t>(i);
      REQUIRE(block[at] == (of_adapter(tensor) ? expected[at] : untouched));
    }
  }
}

/// The message of adapters that do not load, and leave the block alone.
std::string refused_adapters(const std::string& folder, const ParameterTable& table) {
  std::vector<float> block(static_cast<std::size_t>(table.block_size), 0.5f);
  const auto failure =
      io::try_load_adapters(folder, adapted_facts(), table, std::span<float>(block));
  REQUIRE(failure);
  CHECK(std::all_of(block.begin(), block.end(), [](float value) { return value == 0.5f; }));
  return failure->what();
}

bool mentions(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string adapter_config(const std::string& members) {
  return R"({"peft_type": "LORA", "target_modules": ["q_proj"])" + members + "}";
}

}  // namespace

TEST_CASE_TEMPLATE("adapters that are written read back, with their config", E, AdaptedLm,
                   CausalLm<ItemEmbedding, Lora<Narrow<Linear>>>) {
  const TemporaryFolder folder;
  const io::LanguageModelFacts facts = adapted_facts();
  const ParameterTable table = adapted_table<E>();
  const std::vector<float> block = counted_block(table);
  const std::string path = folder.file("new/adapter");
  io::save_adapters(path, "some/base", some_adapters, facts, table, block);

  const io::AdapterFacts read = io::read_adapter_config(path + "/adapter_config.json");
  CHECK(read == io::AdapterFacts{3, 4.5, 0.25, {"q_proj", "down_proj"}, "some/base", "CAUSAL_LM"});
  const Adapters adapters = io::adapters_of(read, facts);
  const ParameterTable again = adapted_table<E>(adapters);
  REQUIRE(again.tensors.size() == table.tensors.size());
  std::vector<float> loaded(block.size(), -1);
  io::load_adapters(path, facts, again, std::span<float>(loaded));
  check_loaded(again, loaded, block, -1);

  const auto file = io::Safetensors(io::read_safetensors(path + "/adapter_model.safetensors"));
  CHECK(file.tensors().size() == 8);
  const std::string map = "base_model.model.model.layers.1.mlp.down_proj.";
  REQUIRE(file.find(map + "lora_A.weight") != nullptr);
  CHECK(file.find(map + "lora_A.weight")->shape == std::vector<Index>{3, 12});
  REQUIRE(file.find(map + "lora_B.weight") != nullptr);
  CHECK(file.find(map + "lora_B.weight")->shape == std::vector<Index>{8, 3});
}

TEST_CASE("adapters of a model without a head, under a prefix, rounded") {
  const TemporaryFolder folder;
  io::LanguageModelFacts facts = adapted_facts();
  facts.head = io::LanguageHead::none;
  const ParameterTable table = io::model_layout<Lora<Linear>>(facts, {"encoder.", 0});
  std::vector<float> block = counted_block(table);
  const io::ExportOptions options{{"encoder.", 0}, io::Dtype::bf16};
  io::save_adapters(folder.path().string(), "", Adapters{}, facts, table, block, options);
  CHECK(io::read_adapter_config(folder.file("adapter_config.json")).task == "FEATURE_EXTRACTION");
  const auto file = io::read_safetensors(folder.file("adapter_model.safetensors"));
  CHECK(file.find("base_model.model.layers.0.self_attn.q_proj.lora_A.weight") != nullptr);
  std::vector<double> loaded(block.size(), -1);
  io::load_adapters(folder.path().string(), facts, table, std::span<double>(loaded),
                    options.weights);
  for (float& value : block) { value = float_from_bf16(bf16_from_float(value)); }
  check_loaded(table, {loaded.begin(), loaded.end()}, block, -1);

  const auto other =
      io::try_save_adapters(folder.path().string(), "", {.rank = 4}, facts, table, block, options);
  REQUIRE(other);
  CHECK(mentions(other->what(), "expected the rank 4 of the adapters, found [8, 8]"));
}

TEST_CASE("adapters of a model whose base lies in mapped files") {
  using E = CausalLm<ItemEmbedding, Lora<Narrow<Linear>>>;
  const TemporaryFolder folder;
  const std::string path = folder.path().string();
  const io::LanguageModelFacts facts = adapted_facts();
  const ParameterTable whole = adapted_table<E>(),
                       kept = adapted_table<io::detail::WithoutNarrow<E>>();
  REQUIRE(kept.tensors.size() < whole.tensors.size());
  const std::vector<float> block = counted_block(whole);
  io::save_adapters(path, "", some_adapters, facts, whole, block);
  std::vector<float> loaded(static_cast<std::size_t>(kept.block_size), -1);
  io::load_adapters(path, facts, kept, std::span<float>(loaded));
  check_loaded(kept, loaded, block, -1);  // what is trained stands first in both
}

TEST_CASE("everything that is wrong with an adapter's tensors is one error") {
  const TemporaryFolder folder;
  const std::string path = folder.path().string();
  const ParameterTable table = adapted_table();
  const std::vector<float> zeros(200);
  const std::string layer = "base_model.model.model.layers.";
  io::TensorList list;
  const auto add = [&](const std::string& name, std::vector<Index> shape) {
    Index size = 1;
    for (const Index extent : shape) { size *= extent; }
    list.add(name, std::move(shape), std::span(zeros).first(static_cast<std::size_t>(size)));
  };
  add(layer + "0.self_attn.q_proj.lora_A.weight", {3, 8});
  add(layer + "0.self_attn.q_proj.lora_B.weight", {8, 4});
  add(layer + "0.self_attn.q_proj.lora_magnitude_vector", {8});
  add(layer + "0.mlp.down_proj.lora_A.weight", {3, 12});
  add(layer + "0.mlp.down_proj.lora_B.weight", {8, 3});
  add(layer + "1.self_attn.q_proj.lora_A.weight", {3, 8});
  const std::vector<std::int32_t> integers(24);
  list.add(layer + "1.self_attn.q_proj.lora_B.weight", {8, 3}, std::span(integers));
  add(layer + "1.mlp.down_proj.lora_A.weight", {3, 12});
  io::write_safetensors(folder.file("adapter_model.safetensors"), list);
  const std::string message = refused_adapters(path, table);
  CHECK(mentions(message, "4 tensors do not match the adapters of the model"));
  CHECK(mentions(message,
                 layer + "0.self_attn.q_proj.lora_B.weight: expected [8, 3], file has [8, 4]"));
  CHECK(mentions(message, layer + "0.self_attn.q_proj.lora_magnitude_vector: not expected"));
  CHECK(mentions(message, layer +
                              "1.self_attn.q_proj.lora_B.weight: expected F32, F16 or BF16, file "
                              "has I32"));
  CHECK(mentions(message, layer + "1.mlp.down_proj.lora_B.weight: expected [8, 3], file has none"));

  std::vector<float> block = counted_block(table);
  for (const TensorEntry& tensor : table.tensors) {
    if (tensor.name == "blocks.1.net.down.b") {
      block[static_cast<std::size_t>(tensor.offset) + 5] = std::numeric_limits<float>::infinity();
    }
  }
  io::save_adapters(path, "", some_adapters, adapted_facts(), table, block);
  CHECK(mentions(refused_adapters(path, table),
                 "1.mlp.down_proj.lora_B.weight: element 5 is not a finite number"));

  std::filesystem::rename(folder.file("adapter_model.safetensors"),
                          folder.file("adapter_model.bin"));
  CHECK(mentions(refused_adapters(path, table), "adapter_model.bin, which is not read"));
  CHECK(mentions(refused_adapters(path, adapted_table({.rank = 0})), "the model has no adapters"));
}

TEST_CASE("adapter_config.json: what is not said is what peft takes it for") {
  const auto facts = io::try_parse_adapter_config(adapter_config("")).value_or_raise();
  CHECK(facts == io::AdapterFacts{8, 8, 0, {"q_proj"}, "", ""});
  const auto harmless = io::try_parse_adapter_config(adapter_config(
      R"(, "inference_mode": true, "revision": null, "peft_version": "0.99", "megatron_config": null,
          "bias": "none", "fan_in_fan_out": true, "modules_to_save": null, "rank_pattern": {},
          "init_lora_weights": "gaussian", "layers_pattern": null, "lora_alpha": 16, "r": 2,
          "exclude_modules": [], "some_future_member": {"a": [1]}, "base_model_name_or_path": null)"));
  REQUIRE(harmless);
  CHECK(harmless.value() == io::AdapterFacts{2, 16, 0, {"q_proj"}, "", ""});
  const auto all = io::try_parse_adapter_config(
      R"({"peft_type": "LORA", "target_modules": "all-linear", "r": 1})");
  const Adapters adapters = io::adapters_of(all.value(), adapted_facts());
  CHECK((adapters.query && adapters.key && adapters.value && adapters.out && adapters.gate &&
         adapters.up && adapters.down));
}

TEST_CASE("adapter_config.json: other models and bad numbers are named") {
  const std::pair<std::string, std::string> cases[] = {
      {R"({"peft_type": "IA3", "target_modules": ["q_proj"]})", "peft_type: expected LORA"},
      {R"({"target_modules": ["q_proj"]})", "peft_type: expected LORA"},
      {R"([])", "expected an object"},
      {R"({"peft_type": "LORA"})", "target_modules: expected a list of names"},
      {R"({"peft_type": "LORA", "target_modules": []})", "target_modules: expected a list"},
      {R"({"peft_type": "LORA", "target_modules": ".*(q|v)_proj"})", "expressions are not read"},
      {R"({"peft_type": "LORA", "target_modules": ["q_proj", 3]})", "as number 1"},
      {adapter_config(R"(, "r": 0)"), "r: expected an integer from 1 to 65536, found 0"},
      {adapter_config(R"(, "r": 99999999999999999999)"), "an integer does not fit"},
      {adapter_config(R"(, "r": 1.5)"), "r: expected an integer"},
      {adapter_config(R"(, "lora_alpha": -1)"), "lora_alpha: expected a number from 0"},
      {adapter_config(R"(, "lora_alpha": "16")"), "lora_alpha: expected a number"},
      {adapter_config(R"(, "lora_dropout": 1)"), "lora_dropout: expected a number from 0 to 0.99"},
      {adapter_config(R"(, "bias": "lora_only")"), "bias: expected none"},
      {adapter_config(R"(, "bias": "all")"), "bias: expected none"},
      {adapter_config(R"(, "use_rslora": true)"), "use_rslora: expected false"},
      {adapter_config(R"(, "use_dora": true)"), "use_dora: expected false"},
      {adapter_config(R"(, "use_dora": 1)"), "use_dora: expected true or false"},
      {adapter_config(R"(, "lora_bias": true)"), "lora_bias: expected false"},
      {adapter_config(R"(, "modules_to_save": ["lm_head"])"), "modules_to_save: expected nothing"},
      {adapter_config(R"(, "rank_pattern": {"q_proj": 4})"), "rank_pattern: expected nothing"},
      {adapter_config(R"(, "alpha_pattern": {"q_proj": 4})"), "alpha_pattern: expected nothing"},
      {adapter_config(R"(, "layers_to_transform": [0])"), "layers_to_transform: expected nothing"},
      {adapter_config(R"(, "layers_to_transform": 0)"), "layers_to_transform: expected nothing"},
      {adapter_config(R"(, "layer_replication": [[0, 4]])"), "layer_replication: expected nothing"},
      {adapter_config(R"(, "trainable_token_indices": [1])"), "trainable_token_indices: expected"},
      {adapter_config(R"(, "init_lora_weights": "pissa")"), "init_lora_weights: expected true"},
      {adapter_config(R"(, "init_lora_weights": 1)"), "init_lora_weights: expected true"},
      {adapter_config(R"(, "loftq_config": {"loftq_bits": 4})"), "loftq_config: expected nothing"},
      {adapter_config(R"(, "use_bdlora": {"nblocks": 2})"), "use_bdlora: expected nothing"},
      {adapter_config(R"(, "kasa_config": {"beta": 1})"), "kasa_config: expected nothing"},
      {adapter_config(R"(, "r": 4, "r": 4)"), "\"r\""},
      {std::string(100, '['), "deep"},
  };
  for (const auto& [text, expected] : cases) {
    INFO(text);
    const auto refused = io::try_parse_adapter_config(text, "adapter_config.json");
    REQUIRE_FALSE(refused);
    INFO(std::string(refused.error().what()));
    CHECK(mentions(refused.error().what(), "adapter_config.json"));
    CHECK(mentions(refused.error().what(), expected));
  }
  io::LanguageModelFacts facts = adapted_facts();
  for (const std::string target : {"lm_head", "roj", "model.layers.0.self_attn.q_proj"}) {
    const auto refused = io::try_adapters_of({.targets = {"q_proj", target}}, facts, "some.json");
    REQUIRE_FALSE(refused);
    CHECK(mentions(refused.error().what(),
                   "some of q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, "
                   "down_proj; found \"" +
                       target + "\""));
  }
  CHECK(io::adapters_of({.targets = {"self_attn.k_proj"}}, facts).key);
  facts.family = io::LanguageFamily::t5;
  const auto refused = io::try_adapters_of({.targets = {"q"}}, facts, "some.json");
  REQUIRE_FALSE(refused);
  CHECK(mentions(refused.error().what(), "blocks of t5 have no adapters here"));
}

namespace {

io::LanguageModelFacts placed_facts(io::LanguageFamily family, io::LanguageHead head) {
  io::LanguageModelFacts facts;
  facts.family = family;
  facts.head = head;
  facts.width = 8;
  facts.layers = 2;
  return facts;
}
template <class E>
ParameterTable placed_table(Adapters adapters) {
  typename E::Config config{};
  config.width = 8;
  config.inner = 12;
  config.catalogue.items = 5;
  config.adapters = adapters;
  return describe<E>(config);
}
using AdaptedGpt2 = AdaptedTransformer<ItemEmbedding, Causal, PreNorm, GeluTanh>;
using AdaptedBertLm = AdaptedTransformer<ItemEmbedding, Bidirectional, PostNorm, GeluErf>;

/// Writes adapters, reads them into another block, and gives the names of their file.
template <class E>
std::string there_and_back(const io::LanguageModelFacts& facts,
                           const std::vector<std::string>& targets,
                           const std::vector<std::string>& written) {
  const TemporaryFolder folder;
  const Adapters adapters = io::adapters_of({.rank = 3, .targets = targets}, facts);
  const ParameterTable table = placed_table<E>(adapters);
  const std::vector<float> block = counted_block(table);
  io::save_adapters(folder.path().string(), "base", adapters, facts, table, block);
  const auto read = io::read_adapter_config(folder.file("adapter_config.json"));
  CHECK(read.targets == written);
  const ParameterTable again = placed_table<E>(io::adapters_of(read, facts));
  REQUIRE(again.tensors.size() == table.tensors.size());
  std::vector<float> loaded(block.size(), -1);
  io::load_adapters(folder.path().string(), facts, again, std::span<float>(loaded));
  check_loaded(again, loaded, block, -1);
  std::string names;
  const auto file = io::read_safetensors(folder.file("adapter_model.safetensors"));
  for (const io::TensorView& tensor : file.tensors()) {
    names += tensor.name + " " + io::shape_text(tensor.shape) + "\n";
  }
  return names;
}

}  // namespace

TEST_CASE("GPT-2's queries, keys and values have one adapter, as in peft") {
  const auto facts = placed_facts(io::LanguageFamily::gpt2, io::LanguageHead::tokens);
  const std::string names = there_and_back<AdaptedGpt2>(facts, {"c_attn", "c_proj", "c_fc"},
                                                        {"c_attn", "c_proj", "c_fc"});
  for (const char* name : {"transformer.h.1.attn.c_attn.lora_A.weight [3, 8]\n",
                           "transformer.h.0.attn.c_attn.lora_B.weight [24, 3]\n",
                           "transformer.h.1.attn.c_proj.lora_A.weight [3, 8]\n",
                           "transformer.h.1.mlp.c_proj.lora_A.weight [3, 12]\n",
                           "transformer.h.1.mlp.c_fc.lora_B.weight [12, 3]\n"}) {
    CHECK(mentions(names, "base_model.model." + std::string(name)));
  }
  CHECK(std::count(names.begin(), names.end(), '\n') == 2 * 2 * 4);
  there_and_back<AdaptedGpt2>(facts, {"mlp.c_proj"}, {"mlp.c_proj"});
  there_and_back<AdaptedGpt2>(facts, {"attn.c_proj"}, {"attn.c_proj"});
  there_and_back<AdaptedGpt2>(facts, {"all-linear"}, {"c_attn", "c_proj", "c_fc"});
  const std::string config =
      io::format_adapter_config(io::adapters_of({.targets = {"c_attn"}}, facts), facts, "gpt2");
  CHECK(mentions(config, "\"fan_in_fan_out\": true"));
  const auto refused = io::try_adapters_of({.targets = {"q_proj"}}, facts, "some.json");
  REQUIRE_FALSE(refused);
  CHECK(mentions(refused.error().what(),
                 "some of c_attn, attn.c_proj, c_fc, mlp.c_proj; found \"q_proj\""));
}

TEST_CASE("BERT's queries, keys and values have adapters of their own, as in peft") {
  using io::LanguageFamily, io::LanguageHead;
  const auto facts = placed_facts(LanguageFamily::bert, LanguageHead::none);
  const std::string names =
      there_and_back<AdaptedBertLm>(facts, {"query", "value"}, {"query", "value"});
  for (const char* name : {"layer.0.attention.self.query.lora_A.weight [3, 8]\n",
                           "layer.1.attention.self.value.lora_B.weight [8, 3]\n"}) {
    CHECK(mentions(names, "base_model.model.encoder." + std::string(name)));
  }
  CHECK(std::count(names.begin(), names.end(), '\n') == 2 * 2 * 2);
  CHECK(mentions(there_and_back<AdaptedBertLm>(
                     placed_facts(LanguageFamily::bert, LanguageHead::tokens), {"key"}, {"key"}),
                 "base_model.model.bert.encoder.layer.0.attention.self.key.lora_A.weight"));
  there_and_back<AdaptedBertLm>(facts, {"attention.output.dense"}, {"attention.output.dense"});
  there_and_back<AdaptedBertLm>(facts, {"intermediate.dense"}, {"intermediate.dense"});
  there_and_back<AdaptedBertLm>(facts, {"output.dense"}, {"output.dense"});
  there_and_back<AdaptedBertLm>(facts, {"dense"}, {"dense"});

  // In peft the end of one name is the end of another, too.
  const TemporaryFolder folder;
  Adapters down = io::adapters_of({.rank = 3, .targets = {"output.dense"}}, facts);
  CHECK((down.out && down.down && !down.up));
  down.out = false;
  const ParameterTable table = placed_table<AdaptedBertLm>(down);
  const auto refused =
      io::try_save_adapters(folder.file("new"), "base", down, facts, table, counted_block(table));
  REQUIRE(refused);
  CHECK(mentions(refused->what(), "blocks.#.down.weight: peft has no name for this map"));
  CHECK_FALSE(std::filesystem::exists(folder.file("new")));
}

TEST_SUITE("golden") {
  TEST_CASE("adapters of published folders") {
    Index folders = 0;
    const auto shared = simgr_test::shared_folder();
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(
             shared ? *shared / "golden/models" : std::filesystem::path(), error)) {
      const std::string path = entry.path().string();
      if (!std::filesystem::exists(path + "/adapter_config.json")) {
        continue;
      }
      const auto facts = io::read_model_config(path + "/config.json");
      const auto adapter = io::read_adapter_config(path + "/adapter_config.json");
      AdaptedLm::Config config;
      config.width = facts.width;
      config.layers = facts.layers;
      config.heads = facts.heads;
      config.kv_heads = facts.key_value_heads;
      config.head_width = facts.head_width;
      config.inner = facts.inner;
      config.biased = facts.query_key_value_bias;
      config.catalogue.items = facts.vocabulary;
      config.adapters = io::adapters_of(adapter, facts);
      const ParameterTable table = describe<AdaptedLm>(config);
      std::vector<float> block(static_cast<std::size_t>(table.block_size), 7);
      io::load_adapters(path, facts, table, std::span<float>(block));
      const auto file = io::read_safetensors(path + "/adapter_model.safetensors");
      Index elements = 0;
      for (const io::TensorView& tensor : file.tensors()) { elements += tensor.size(); }
      CHECK(elements > 0);
      const auto written =
          std::count_if(block.begin(), block.end(), [](float v) { return v != 7; });
      CHECK(written == elements);

      const TemporaryFolder copy;
      io::save_adapters(copy.path().string(), adapter.base_model, config.adapters, facts, table,
                        block);
      CHECK(io::read_adapter_config(copy.file("adapter_config.json")) == adapter);
      const auto again = io::read_safetensors(copy.file("adapter_model.safetensors"));
      CHECK(again.tensors().size() == file.tensors().size());
      for (const io::TensorView& tensor : file.tensors()) {
        INFO(tensor.name);
        REQUIRE(again.find(tensor.name) != nullptr);
        CHECK(std::ranges::equal(again.find(tensor.name)->bytes, tensor.bytes));
      }
      ++folders;
    }
    std::printf("adapters of %td published folders checked\n", folders);
    CHECK((!shared || folders > 0));
  }
}
