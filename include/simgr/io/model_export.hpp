// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <simgr/io/atomic_file.hpp>
#include <simgr/io/model_weights.hpp>
#include <simgr/io/safetensors_writer.hpp>

namespace simgr::SIMGR_ABI::io {

/// How weights are written.
struct ExportOptions {
  WeightOptions weights{};
  Dtype dtype = Dtype::f32;  // or bf16 or f16, rounded to nearest
};

namespace detail {

/// Files of a checkpoint that go with its weights and do not depend on them.
inline constexpr std::string_view files_beside_weights[] = {"added_tokens.json",
                                                            "chat_template.jinja",
                                                            "generation_config.json",
                                                            "merges.txt",
                                                            "modules.json",
                                                            "sentence_bert_config.json",
                                                            "special_tokens_map.json",
                                                            "spiece.model",
                                                            "tokenizer.json",
                                                            "tokenizer_config.json",
                                                            "vocab.json",
                                                            "vocab.txt"};

/// The text of a config.json with another value of one member, or as it is without that member.
inline std::string with_member(std::string text, const data::JsonValue& root, std::string_view key,
                               const std::string& value) {
  const data::JsonValue* old = root.find(key);
  if (old == nullptr || (old->as_text() == nullptr && !old->as_integer())) {
    return text;
  }
  // The token ends at its offset, or just before: a number ends where another character was read.
  auto end = static_cast<std::size_t>(old->offset());
  std::size_t begin = 0;
  if (old->as_text() != nullptr) {
    begin = text.rfind('"', text.rfind('"', end - 1) - 1);
    end = text.rfind('"', end - 1) + 1;
  } else {
    constexpr std::string_view digits = "0123456789";
    end = text.find_last_of(digits, end - 1) + 1;
    begin = text.find_last_not_of(digits, end - 1) + 1;
  }
  return text.replace(begin, end - begin, value);
}

/// config.json with the type and the number of tokens that are written.
inline Result<std::string> exported_config(const std::string& path, const ExportOptions& options,
                                           Index vocabulary) {
  auto text = try_read_text(path, Index{1} << 20);
  if (!text) {
    return text.error();
  }
  constexpr std::pair<Dtype, std::string_view> words[] = {
      {Dtype::f32, "\"float32\""}, {Dtype::f16, "\"float16\""}, {Dtype::bf16, "\"bfloat16\""}};
  const auto* word = std::find_if(std::begin(words), std::end(words),
                                  [&](const auto& pair) { return pair.first == options.dtype; });
  for (const std::string_view key : {"dtype", "torch_dtype", "vocab_size"}) {
    const auto root = data::try_parse_json(*text, {.file = path});
    if (!root) {
      return root.error();
    }
    *text =
        with_member(std::move(*text), root.value(), key,
                    key == "vocab_size" ? std::to_string(vocabulary) : std::string(word->second));
  }
  return std::move(*text);
}

/// Puts the tensors of one file of the source into a list, with our values in the place of theirs.
class ExportedFile {
public:
  ExportedFile(std::span<const float> block, const ExportOptions& options)
      : block_(block), options_(options) {}

  void add(const TensorView& source, const PlannedTensor& planned) {
    const Index size = planned.size + planned.added;
    const auto count = static_cast<std::size_t>(size);
    const float* const ours = block_.data() + planned.offset;
    std::vector<Index> shape = source.shape;
    if (planned.added > 0) {
      shape[0] += options_.weights.added_tokens;
    }
    const bool narrow = planned.storage == Storage::bf16,
               turns = planned.form == TensorForm::transposed;
    std::vector<float> wide;
    if (narrow) {
      const std::span stored(reinterpret_cast<const BFloat16*>(ours) + planned.first, count);
      if (!turns && options_.dtype == Dtype::bf16) {
        return list.add(source.name, std::move(shape), stored);
      }
      wide.resize(count);
      std::transform(stored.begin(), stored.end(), wide.begin(),
                     [](BFloat16 value) { return widened(value); });
    }
    const std::span<const float> values(narrow ? wide.data() : ours + planned.first, count);
    if (!turns) {
      return add(source.name, std::move(shape), values, narrow);
    }
    std::vector<float> turned(values.size());
    transpose(values.data(), shape[1], shape[0], turned.data());
    add(source.name, std::move(shape), turned, true);
  }

  TensorList list;

private:
  void add(const std::string& name, std::vector<Index> shape, std::span<const float> values,
           bool copied) {
    if (options_.dtype != Dtype::f32) {
      list.add_rounded(name, options_.dtype, std::move(shape), values);
    } else if (copied) {
      list.add_copy(name, std::move(shape), values);
    } else {
      list.add(name, std::move(shape), values);
    }
  }

  std::span<const float> block_;
  const ExportOptions& options_;
};

}  // namespace detail

/// Writes a model as the folder that it was loaded from: the same files with tensors of the same
/// names and forms, the weights of `block` in the place of those there, what the model has nothing
/// of (a head, a pooler) as it stands, and without buffers. config.json is that of the source, with
/// the type and, where tokens were added, their number; files of the tokenizer are copied. Each file
/// is old or new and never half, config.json comes last.
///
/// @param folder  is made where it is not there; may be that of `source`
///
/// Cost    memory of the largest file where it is rounded, else of the largest transposed tensors
/// Errors  those of try_plan_tensors; ConfigError: adapters, which have to be merged before;
///         DataError: the folder holds weights of another layout; IoError of the system
inline Failure try_save_model_folder(const std::string& folder, const ModelFolder& source,
                                     const LanguageModelFacts& facts, const ParameterTable& table,
                                     std::span<const float> block,
                                     const ExportOptions& options = {}) {
  namespace fs = std::filesystem;
  SIMGR_ASSERT(static_cast<Index>(block.size()) >= table.block_size, "a block of another layout");
  SIMGR_ASSERT(options.dtype == Dtype::f32 || options.dtype == Dtype::f16 ||
                   options.dtype == Dtype::bf16,
               "weights are written as F32, F16 or BF16");
  detail::TensorPlanner planner(source, facts, options.weights);
  const auto plan = planner.plan(table);
  if (!plan) {
    return plan.error();
  }
  if (const std::string name = planner.first_adapter(table); !name.empty()) {
    return ConfigError("adapters are merged into their maps before a model is written",
                       {.field = name});
  }
  std::map<const TensorView*, const PlannedTensor*> ours;
  for (const PlannedTensor& planned : plan.value()) { ours.emplace(planned.published, &planned); }

  std::error_code error;
  fs::create_directories(folder, error);
  const auto inside = [&](std::string_view name) { return (fs::path(folder) / name).string(); };
  const bool sharded = !source.index().empty();
  const std::string other = sharded ? ModelFolder::single_name : ModelFolder::index_name;
  if (fs::exists(inside(other), error)) {
    return DataError("holds weights of another layout, which readers could take for these",
                     {.file = inside(other)});
  }
  auto config = detail::exported_config(source.beside("config.json"), options,
                                        facts.vocabulary + options.weights.added_tokens);
  if (!config) {
    return config.error();
  }

  std::string weight_map;
  Index bytes = 0;
  for (const Safetensors& file : source.files()) {
    const std::string name =
        sharded ? fs::path(file.file()).filename().string() : std::string(ModelFolder::single_name);
    detail::ExportedFile exported(block, options);
    for (const MetadataEntry& entry : file.metadata()) { exported.list.set(entry.key, entry.text); }
    exported.list.set("format", "pt");  // the usual readers ask for it
    for (const TensorView& tensor : file.tensors()) {
      if (const auto found = ours.find(&tensor); found != ours.end()) {
        exported.add(tensor, *found->second);
      } else if (!planner.is_buffer(tensor.name)) {
        exported.list.add_stored(tensor);
      }
    }
    for (const TensorView& tensor : exported.list.tensors()) {
      bytes += static_cast<Index>(tensor.bytes.size());
      weight_map += (weight_map.empty() ? "\n    " : ",\n    ") + data::json_quote(tensor.name) +
                    ": " + data::json_quote(name);
    }
    if (Failure failure = try_write_safetensors(inside(name), exported.list)) {
      return failure;
    }
  }
  if (sharded) {
    const std::string index = "{\n  \"metadata\": {\"total_size\": " + std::to_string(bytes) +
                              "},\n  \"weight_map\": {" + weight_map + "\n  }\n}\n";
    if (Failure failure = try_replace_file(inside(ModelFolder::index_name), index)) {
      return failure;
    }
  }
  for (const std::string_view name : detail::files_beside_weights) {
    const std::string from = source.beside(name);
    if (!fs::exists(from, error) || fs::equivalent(from, inside(name), error)) {
      continue;
    }
    const auto text = try_read_text(from, Index{1} << 30);
    if (!text) {
      return text.error();
    }
    if (Failure failure = try_replace_file(inside(name), text.value())) {
      return failure;
    }
  }
  return try_replace_file(inside("config.json"), *config);
}

inline void save_model_folder(const std::string& folder, const ModelFolder& source,
                              const LanguageModelFacts& facts, const ParameterTable& table,
                              std::span<const float> block, const ExportOptions& options = {}) {
  if (Failure failure = try_save_model_folder(folder, source, facts, table, block, options)) {
    raise(*failure);
  }
}

}  // namespace simgr::SIMGR_ABI::io
