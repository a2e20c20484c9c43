// SPDX-License-Identifier: Apache-2.0
#include <simgr/io/model_weights.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <simgr/cpu/cpu.hpp>
#include <simgr/encoder/causal_lm.hpp>
#include <simgr/encoder/frozen_tokens.hpp>
#include <simgr/io/checkpoint.hpp>
#include <simgr/io/mapped_weights.hpp>
#include <simgr/io/model_export.hpp>
#include <simgr/io/model_layout.hpp>
#include <simgr/nn/narrow.hpp>

#include <support/temporary_folder.hpp>

// Tensors that are BFloat16 in memory: what files they come from, and go to.

namespace {

using namespace simgr;
using simgr_test::TemporaryFolder;

/// A narrow map and a plain one.
struct TwoMaps {
  struct Config {
    Index in = 3, out = 5;
  };
  template <class T, class S = Host>
  struct Params {
    Narrow<Linear>::Params<T, S> narrow;
    Linear::Params<T, S> plain;
  };
  template <class F, class... P>
  static void for_each_parameter(const Config& c, F&& f, P&... p) {
    Narrow<Linear>::for_each_parameter({c.in, c.out}, under("narrow", f), p.narrow...);
    Linear::for_each_parameter({c.in, c.out}, under("plain", f), p.plain...);
  }
};

std::vector<float> two_maps(const ParameterTable& table, std::uint64_t seed) {
  std::vector<float> block(static_cast<std::size_t>(table.block_size));
  initialise(table, std::span<float>(block), seed);
  return block;
}

io::LanguageModelFacts narrow_facts() {
  io::LanguageModelFacts facts;
  facts.family = io::LanguageFamily::qwen2;
  facts.width = 8;
  facts.layers = 1;
  facts.heads = facts.key_value_heads = 2;
  facts.head_width = 4;
  facts.inner = 12;
  facts.vocabulary = 5;
  facts.query_key_value_bias = facts.tied_head = true;
  return facts;
}

/// The published tensors of a layout of narrow_facts(), each number another one, as `dtype`.
std::string write_published(const TemporaryFolder& folder, io::Dtype dtype, float odd = 1) {
  const auto facts = narrow_facts();
  io::TensorList list;
  float next = 1.001f;
  const std::pair<const char*, std::vector<Index>> tensors[] = {
      {"model.embed_tokens.weight", {5, 8}},
      {"model.layers.0.input_layernorm.weight", {8}},
      {"model.layers.0.self_attn.q_proj.weight", {8, 8}},
      {"model.layers.0.self_attn.q_proj.bias", {8}},
      {"model.layers.0.self_attn.k_proj.weight", {8, 8}},
      {"model.layers.0.self_attn.k_proj.bias", {8}},
      {"model.layers.0.self_attn.v_proj.weight", {8, 8}},
      {"model.layers.0.self_attn.v_proj.bias", {8}},
      {"model.layers.0.self_attn.o_proj.weight", {8, 8}},
      {"model.layers.0.post_attention_layernorm.weight", {8}},
      {"model.layers.0.mlp.gate_proj.weight", {12, 8}},
      {"model.layers.0.mlp.up_proj.weight", {12, 8}},
      {"model.layers.0.mlp.down_proj.weight", {8, 12}},
      {"model.norm.weight", {8}},
  };
  for (const auto& [name, shape] : tensors) {
    std::vector<float> values(
        static_cast<std::size_t>(shape[0] * (shape.size() > 1 ? shape[1] : 1)));
    for (float& value : values) { value = next += 0.013f; }
    values.back() *= std::string(name).find("down_proj") != std::string::npos ? odd : 1;
    if (dtype == io::Dtype::f32) {
      list.add_copy(name, shape, std::span<const float>(values));
    } else {
      list.add_rounded(name, dtype, shape, values);
    }
  }
  io::write_safetensors(folder.file("model.safetensors"), list);
  return folder.path().string();
}

}  // namespace

TEST_CASE("a model file keeps narrow tensors narrow, to the bit, and refuses wide ones for them") {
  const TemporaryFolder folder;
  const ParameterTable table = describe<TwoMaps>({});
  const std::vector<float> block = two_maps(table, 7);
  io::CheckpointWriter writer;
  io::add_parameters(writer, table, block);
  writer.write(folder.file("narrow"));
  const auto file = io::Checkpoint::read(folder.file("narrow"));
  CHECK(file.find("narrow.weight")->dtype == io::Dtype::bf16);
  CHECK(file.find("narrow.bias")->dtype == io::Dtype::f32);
  std::vector<float> loaded(block.size());
  io::load_parameters(file, table, loaded);
  CHECK(std::memcmp(block.data(), loaded.data(), block.size() * sizeof(float)) == 0);

  ParameterTable wide = table;
  for (TensorEntry& tensor : wide.tensors) { tensor.storage = Storage::full; }
  wide = lay_out(wide.tensors);
  const auto failure = io::match_parameters(file, wide);
  REQUIRE(failure);
  CHECK(std::string(failure->what()).find("narrow.weight: expected F32, file has BF16") !=
        std::string::npos);

  std::vector<float> odd = block;
  const auto narrow = std::find_if(table.tensors.begin(), table.tensors.end(),
                                   [](const auto& it) { return it.name == "narrow.weight"; });
  reinterpret_cast<BFloat16*>(odd.data() + narrow->offset)[4].bits = 0x7f80;
  io::CheckpointWriter another;
  io::add_parameters(another, table, odd);
  another.write(folder.file("odd"));
  const auto refused =
      io::try_load_parameters(io::Checkpoint::read(folder.file("odd")), table, loaded);
  REQUIRE(refused);
  CHECK(std::string(refused->what()).find("element 4 is not a finite number") != std::string::npos);
}

TEST_CASE("published tensors are kept as they stand where they are BF16, others are rounded") {
  const auto facts = narrow_facts();
  const ParameterTable table = io::model_layout<Narrow<Linear>>(facts),
                       wide = io::model_layout(facts);
  CHECK(table.block_size < wide.block_size);
  for (const io::Dtype dtype : {io::Dtype::bf16, io::Dtype::f16, io::Dtype::f32}) {
    CAPTURE(io::name_of(dtype));
    const TemporaryFolder folder;
    const auto files = io::ModelFolder::open(write_published(folder, dtype));
    std::vector<float> block(static_cast<std::size_t>(table.block_size)),
        expected(static_cast<std::size_t>(wide.block_size));
    std::vector<double> in_double(block.size());
    io::load_parameters(files, facts, table, std::span<float>(block));
    io::load_parameters(files, facts, table, std::span<double>(in_double));
    io::load_parameters(files, facts, wide, std::span<float>(expected));
    Index narrow = 0, different = 0;
    for (const TensorEntry& tensor : table.tensors) {
      const auto other = std::find_if(wide.tensors.begin(), wide.tensors.end(),
                                      [&](const auto& it) { return it.name == tensor.name; });
      const float* const to = block.data() + tensor.offset;
      for (Index i = 0; i < tensor.size; ++i) {
        const float value = expected[static_cast<std::size_t>(other->offset + i)];
        if (tensor.storage == Storage::full) {
          different += to[i] != value;
          continue;
        }
        ++narrow;
        const BFloat16 found = reinterpret_cast<const BFloat16*>(to)[i];
        different += found.bits != bf16_from_float(value);
        different += dtype == io::Dtype::bf16 && widened(found) != value;
        different += reinterpret_cast<const BFloat16*>(in_double.data() + tensor.offset)[i].bits !=
                     found.bits;
      }
    }
    CHECK(narrow == 4 * 64 + 3 * 96);
    CHECK(different == 0);
  }
}

TEST_CASE("narrow weights go back to the folder that they came from") {
  const auto facts = narrow_facts();
  const TemporaryFolder folder, target;
  const auto path = write_published(folder, io::Dtype::bf16);
  std::ofstream(folder.file("config.json"))
      << R"({"model_type": "qwen2", "vocab_size": 5, "torch_dtype": "bfloat16"})";
  const auto files = io::ModelFolder::open(path);
  const ParameterTable table = io::model_layout<Narrow<Linear>>(facts);
  std::vector<float> block(static_cast<std::size_t>(table.block_size));
  io::load_parameters(files, facts, table, std::span<float>(block));
  for (const io::Dtype dtype : {io::Dtype::bf16, io::Dtype::f32}) {
    io::save_model_folder(target.path().string(), files, facts, table, block, {.dtype = dtype});
    const auto again = io::ModelFolder::open(target.path().string());
    Index compared = 0;
    for (const auto& tensor : files.tensors()) {
      const io::TensorView* const found = again.find(tensor.view->name);
      REQUIRE(found != nullptr);
      CHECK(found->dtype == dtype);
      std::vector<float> a(static_cast<std::size_t>(found->size())), b(a.size());
      CHECK_FALSE(io::convert(*found, a.data()));
      CHECK_FALSE(io::convert(*tensor.view, b.data()));
      CHECK(a == b);
      ++compared;
    }
    CHECK(compared == 14);
  }
}

TEST_CASE("a published number that is not finite is refused before anything is written") {
  const auto facts = narrow_facts();
  const TemporaryFolder folder;
  const auto files = io::ModelFolder::open(
      write_published(folder, io::Dtype::bf16, std::numeric_limits<float>::infinity()));
  const ParameterTable table = io::model_layout<Narrow<Linear>>(facts);
  std::vector<float> block(static_cast<std::size_t>(table.block_size), 0.5f);
  const auto failure = io::try_load_parameters(files, facts, table, std::span<float>(block));
  REQUIRE(failure);
  CHECK(std::string(failure->what()).find("down_proj.weight: element 95") != std::string::npos);
  CHECK(std::all_of(block.begin(), block.end(), [](float value) { return value == 0.5f; }));
}

namespace {

template <class Projection>
using FileModel = CausalLm<FrozenTokens, Projection>;

template <class Model>
typename Model::Config file_config() {
  const auto facts = narrow_facts();
  typename Model::Config config;
  config.width = facts.width;
  config.layers = facts.layers;
  config.heads = facts.heads;
  config.kv_heads = facts.key_value_heads;
  config.inner = facts.inner;
  config.biased = true;
  config.catalogue.items = facts.vocabulary;
  return config;
}

template <class Model>
std::vector<float> states_of(const typename Model::template Params<float>& params) {
  const std::vector<ItemId> ids{1, 4, 2, 0, 3};
  const Index offsets[] = {0, 2, 5};
  Arena arena;
  cpu::Context ctx{arena};
  typename Model::template Cache<float> cache;
  const auto states = Model::forward(
      file_config<Model>(), params, Matrix<const float>{}, ItemsView<>{5, {}},
      RaggedView<ItemId>{std::span<const ItemId>(ids), Offsets(offsets)}, cache, ctx);
  return {states.begin(), states.end()};
}

}  // namespace

TEST_CASE("a model serves from its files as from a copy, with or without adapters") {
  using Model = FileModel<Narrow<Linear>>;
  using Adapted = FileModel<Lora<Narrow<Linear>>>;
  const TemporaryFolder folder;
  const auto facts = narrow_facts();
  const std::string path = write_published(folder, io::Dtype::bf16);
  const ParameterTable table = describe<Model>(file_config<Model>());
  std::vector<float> block(static_cast<std::size_t>(table.block_size));
  io::load_parameters(io::ModelFolder::open(path), facts, table, std::span<float>(block));
  const auto expected = states_of<Model>(bind<Model>(file_config<Model>(), block.data()));
  for (const auto residence : {io::Residence::mapped, io::Residence::copied}) {
    auto mapped = io::try_map_weights<Model>(io::ModelFolder::open(path, residence), facts,
                                             file_config<Model>())
                      .value_or_raise();
    const auto moved = std::move(mapped);
    CHECK(states_of<Model>(moved.params) == expected);
    CHECK(static_cast<const void*>(moved.params.embedding.table.data()) ==
          moved.folder.find("model.embed_tokens.weight")->bytes.data());
    CHECK(moved.table.parameters() == 3 * 8 + 3 * 8);  // norms and biases
    const auto adapted = io::try_map_weights<Adapted>(io::ModelFolder::open(path, residence), facts,
                                                      file_config<Adapted>())
                             .value_or_raise();
    CHECK(states_of<Adapted>(adapted.params) == expected);
    CHECK(adapted.table.trained_size == describe<Adapted>(file_config<Adapted>()).trained_size);
  }
}

TEST_CASE("what cannot be read where it lies is told, all of it, and numbers are looked at") {
  using Model = FileModel<Narrow<Linear>>;
  const auto facts = narrow_facts();
  const TemporaryFolder wide, odd;
  const auto refusal = [&](const std::string& path) {
    const auto result =
        io::try_map_weights<Model>(io::ModelFolder::open(path), facts, file_config<Model>());
    return result ? std::string("accepted") : std::string(result.error().what());
  };
  const std::string of_floats = refusal(write_published(wide, io::Dtype::f32));
  CHECK(of_floats.find("8 tensors do not lie in the file as in memory") != std::string::npos);
  CHECK(of_floats.find("model.embed_tokens.weight: expected BF16 in the order of ours, file has "
                       "F32") != std::string::npos);
  const std::string of_infinity =
      refusal(write_published(odd, io::Dtype::bf16, std::numeric_limits<float>::infinity()));
  CHECK(of_infinity.find("down_proj.weight: element 95 is not a finite") != std::string::npos);
}

TEST_CASE("what is given back of a mapped file is there again, and of a copy stays") {
  const TemporaryFolder folder;
  const std::string path = write_published(folder, io::Dtype::bf16);
  for (const auto residence : {io::Residence::mapped, io::Residence::copied}) {
    const auto files = io::ModelFolder::open(path, residence);
    const io::TensorView* const tensor = files.find("model.norm.weight");
    std::vector<float> before(8), after(8);
    CHECK_FALSE(io::convert(*tensor, before.data()));
    files.release(tensor->bytes);
    CHECK_FALSE(io::convert(*tensor, after.data()));
    CHECK(before == after);
    CHECK(before.front() > 1);
  }
}
