// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <simgr/io/adapter_config.hpp>
#include <simgr/io/atomic_file.hpp>
#include <simgr/io/model_export.hpp>
#include <simgr/io/model_folder.hpp>
#include <simgr/io/named_tensors.hpp>
#include <simgr/io/safetensors_writer.hpp>

// Adapters as Python's package peft keeps them, apart from the model below: adapter_config.json, and
// adapter_model.safetensors with two matrices beside each adapted map,
//
//   base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight  [rank, in]
//   base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight  [out, rank]

namespace simgr::SIMGR_ABI::io {

inline constexpr const char *adapter_config_name = "adapter_config.json",
                            *adapter_weights_name = "adapter_model.safetensors";

namespace detail {

/// One matrix of an adapter: ours, and its published name behind the prefixes.
struct AdapterMatrix {
  const TensorEntry* ours;
  bool Adapters::*map;
  std::string published;
};

/// The matrices of all adapters of the tensors under a prefix.
///
/// Errors  ConfigError: an adapter of a map that the family does not have; no adapters
inline Result<std::vector<AdapterMatrix>> adapter_matrices(const LanguageModelFacts& facts,
                                                           const ParameterTable& table,
                                                           const std::string& prefix) {
  const NameMap map = name_map(facts);
  std::vector<AdapterMatrix> matrices;
  for (const TensorEntry& tensor : table.tensors) {
    const bool is_a = tensor.name.ends_with(".a");
    if (!tensor.name.starts_with(prefix) || !(is_a || tensor.name.ends_with(".b"))) {
      continue;
    }
    const std::string weight =
        tensor.name.substr(prefix.size(), tensor.name.size() - prefix.size() - 1) + "weight";
    for (const AdaptedMap& candidate : adapted_maps) {
      std::string_view block;
      if (!matches_pattern(candidate.weight, weight, &block)) {
        continue;
      }
      const std::string_view published = published_map(map, candidate);
      if (published.empty()) {
        return ConfigError("the family has no such map", {.field = tensor.name});
      }
      matrices.push_back(
          {&tensor, candidate.wanted,
           with_block(published, block) + (is_a ? ".lora_A.weight" : ".lora_B.weight")});
    }
  }
  if (matrices.empty()) {
    return ConfigError("the model has no adapters under this prefix", {.field = prefix});
  }
  return matrices;
}

constexpr std::string_view around_adapters = "base_model.model.";

/// What models with a head put before the names of their blocks.
inline std::string_view prefix_of_heads(const LanguageModelFacts& facts) {
  const auto prefixes = name_map(facts).prefixes;
  return *std::max_element(
      prefixes.begin(), prefixes.end(),
      [](std::string_view a, std::string_view b) { return a.size() < b.size(); });
}

inline Result<ModelFolder> try_open_adapters(const std::string& folder) {
  namespace fs = std::filesystem;
  const std::string path = (fs::path(folder) / adapter_weights_name).string();
  std::error_code error;
  if (!fs::exists(path, error) && fs::exists(fs::path(folder) / "adapter_model.bin", error)) {
    return DataError(std::string("expected ") + adapter_weights_name +
                         ", found adapter_model.bin, which is not read: such files run code; "
                         "convert it to safetensors",
                     {.file = folder});
  }
  return ModelFolder::try_open(path);
}

/// That the tensors of a folder have the rank its config claims: before a model of that rank is made,
/// which takes memory.
///
/// Errors  DataError with the tensor; those of ModelFolder
inline Failure check_adapter_rank(const std::string& folder, Index rank) {
  const auto file = try_open_adapters(folder);
  if (!file) {
    return file.error();
  }
  for (const ModelFolder::Tensor& tensor : file.value().tensors()) {
    const std::vector<Index>& shape = tensor.view->shape;
    if (tensor.view->name.find(".lora_A") != std::string::npos && !shape.empty() &&
        shape.front() != rank) {
      return DataError(std::string("expected the rank ") + std::to_string(rank) + " of " +
                           adapter_config_name + ", found " + std::to_string(shape.front()),
                       {.file = folder, .field = tensor.view->name});
    }
  }
  return std::nullopt;
}

}  // namespace detail

/// Fills the adapters of a flat block (parameter.hpp) with those of a folder, widened to T; everything
/// else stays as it is. The model is to be made with try_adapters_of of the folder's config.
///
/// @param block    float or double, [table.block_size]
/// @param options  prefix: in front of our names; tensors without it are no part of the folder
///
/// Errors  one DataError that lists every tensor that is missing, too many, of another shape or of
///         another type; DataError with tensor and element: not a finite number; those of
///         ModelFolder; ConfigError: the model has no adapters. The block is as it was
template <class T>
Failure try_load_adapters(const std::string& folder, const LanguageModelFacts& facts,
                          const ParameterTable& table, std::span<T> block,
                          const WeightOptions& options = {}) {
  SIMGR_ASSERT(static_cast<Index>(block.size()) >= table.block_size, "a block of another layout");
  const auto matrices = detail::adapter_matrices(facts, table, options.prefix);
  if (!matrices) {
    return matrices.error();
  }
  const auto file = detail::try_open_adapters(folder);
  if (!file) {
    return file.error();
  }
  // Whether the model below was one with a head, whose names have a prefix of their own.
  std::string prefix(detail::around_adapters);
  const auto tensors = file.value().tensors();
  const std::string longer = prefix + std::string(detail::prefix_of_heads(facts));
  if (std::any_of(tensors.begin(), tensors.end(), [&](const ModelFolder::Tensor& tensor) {
        return tensor.view->name.starts_with(longer);
      })) {
    prefix = longer;
  }
  std::vector<NamedTensor<T>> wanted;
  for (const detail::AdapterMatrix& matrix : matrices.value()) {
    wanted.push_back(
        {prefix + matrix.published, matrix.ours->shape, block.data() + matrix.ours->offset});
  }
  return try_load_named(file.value(), std::span<const NamedTensor<T>>(wanted), true,
                        "not match the adapters of the model");
}

template <class T>
void load_adapters(const std::string& folder, const LanguageModelFacts& facts,
                   const ParameterTable& table, std::span<T> block,
                   const WeightOptions& options = {}) {
  if (Failure failure = try_load_adapters(folder, facts, table, block, options)) {
    raise(*failure);
  }
}

/// Writes the adapters of a model as a folder that Python's peft reads. Each file is old or new and
/// never half; adapter_config.json comes last.
///
/// @param folder      is made where it is not there
/// @param base_model  the name or folder of the model below
/// @param adapters    rank, alpha and dropout; which maps have one is the table's to say
///
/// Errors  ConfigError: the model has no adapters, or of another rank, or of a map whose name in peft
///         means others, too; IoError of the system
inline Failure try_save_adapters(const std::string& folder, const std::string& base_model,
                                 const Adapters& adapters, const LanguageModelFacts& facts,
                                 const ParameterTable& table, std::span<const float> block,
                                 const ExportOptions& options = {}) {
  namespace fs = std::filesystem;
  SIMGR_ASSERT(static_cast<Index>(block.size()) >= table.block_size, "a block of another layout");
  const auto matrices = detail::adapter_matrices(facts, table, options.weights.prefix);
  if (!matrices) {
    return matrices.error();
  }
  const std::string prefix =
      std::string(detail::around_adapters) +
      std::string(facts.head != LanguageHead::none ? detail::prefix_of_heads(facts) : "");
  TensorList list;
  list.set("format", "pt");  // the usual readers ask for it
  Adapters written = adapters;
  for (const AdaptedMap& map : adapted_maps) { written.*map.wanted = false; }
  for (const detail::AdapterMatrix& matrix : matrices.value()) {
    const TensorEntry& ours = *matrix.ours;
    written.*matrix.map = true;
    if (ours.shape[ours.name.ends_with(".a") ? 0 : 1] != adapters.rank) {
      return ConfigError("expected the rank " + std::to_string(adapters.rank) +
                             " of the adapters, found " + shape_text(ours.shape),
                         {.field = ours.name});
    }
    const auto values =
        block.subspan(static_cast<std::size_t>(ours.offset), static_cast<std::size_t>(ours.size));
    if (options.dtype == Dtype::f32) {
      list.add(prefix + matrix.published, ours.shape, values);
    } else {
      list.add_rounded(prefix + matrix.published, options.dtype, ours.shape, values);
    }
  }
  for (const AdaptedMap& map : adapted_maps) {
    if (written.*map.wanted && !detail::published_map(name_map(facts), map).empty() &&
        detail::target_of(name_map(facts), map, written).empty()) {
      return ConfigError("peft has no name for this map that does not mean others, too: give those "
                         "adapters as well",
                         {.field = std::string(map.weight)});
    }
  }
  std::error_code error;
  fs::create_directories(folder, error);
  const auto inside = [&](const char* name) { return (fs::path(folder) / name).string(); };
  if (Failure failure = try_write_safetensors(inside(adapter_weights_name), list)) {
    return failure;
  }
  return try_replace_file(inside(adapter_config_name),
                          format_adapter_config(written, facts, base_model));
}

inline void save_adapters(const std::string& folder, const std::string& base_model,
                          const Adapters& adapters, const LanguageModelFacts& facts,
                          const ParameterTable& table, std::span<const float> block,
                          const ExportOptions& options = {}) {
  if (Failure failure =
          try_save_adapters(folder, base_model, adapters, facts, table, block, options)) {
    raise(*failure);
  }
}

}  // namespace simgr::SIMGR_ABI::io
