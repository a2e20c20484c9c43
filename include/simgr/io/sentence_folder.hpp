// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>
#include <utility>

#include <simgr/data/json.hpp>
#include <simgr/io/input_file.hpp>
#include <simgr/io/json_fields.hpp>
#include <simgr/nn/sentence_pooling.hpp>

// What sentence-transformers writes beside a model:
//
//   modules.json               the model, pooling, perhaps a map and a norm, each with a folder
//   1_Pooling/config.json      which states stand for a text
//   2_Dense/config.json        a map of that vector: its weights lie beside
//   sentence_bert_config.json  how many tokens are read

namespace simgr::SIMGR_ABI::io {

/// What those files say, as far as they are there.
struct SentenceFolder {
  std::optional<Pooling> pooling{};
  std::string dense{};  // the folder of a map, or empty
  Index longest = 0;    // tokens of a text; 0: not said
};

namespace detail {

/// The document in a file, or nothing where there is no such file.
inline Result<std::optional<data::JsonValue>> read_json_if_there(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    return std::optional<data::JsonValue>();
  }
  const auto text = try_read_text(path, Index{1} << 20);
  auto root =
      text ? data::try_parse_json(text.value(), {.file = path}, {.depth = 16, .values = 1 << 16})
           : text.error();
  if (!root) {
    return root.error();
  }
  return std::optional<data::JsonValue>(std::move(*root));
}

/// What a config.json of pooling asks for, in a word or by a flag for each kind; nothing where there
/// is no such file.
inline Result<std::optional<Pooling>> read_pooling(const std::string& path) {
  constexpr std::tuple<std::string_view, std::string_view, Pooling> kinds[] = {
      {"mean", "pooling_mode_mean_tokens", Pooling::mean},
      {"cls", "pooling_mode_cls_token", Pooling::first},
      {"lasttoken", "pooling_mode_lasttoken", Pooling::last}};
  std::optional<Pooling> found;
  const auto root = read_json_if_there(path);
  if (!root) {
    return root.error();
  }
  if (!root.value()) {
    return found;
  }
  const data::JsonValue::Object* members = root.value()->as_object();
  Index asked = 0;
  for (std::size_t i = 0; members != nullptr && i < members->size(); ++i) {
    const auto& [key, value] = (*members)[i];
    const bool flag = key.starts_with("pooling_mode_") && value.as_boolean().value_or(false);
    if (!flag && key != "pooling_mode") {
      continue;
    }
    ++asked;
    for (const auto& [word, name, pooling] : kinds) {
      if (flag ? key == name : value.as_text() != nullptr && *value.as_text() == word) {
        found = pooling;
      }
    }
  }
  if (asked != 1 || !found) {
    return DataError("expected one of pooling_mode_mean_tokens, pooling_mode_cls_token and "
                     "pooling_mode_lasttoken to be true and no other, or pooling_mode mean, cls or "
                     "lasttoken",
                     {.file = path});
  }
  return found;
}

/// Whether the map of a folder is a map alone, without a function behind it.
inline Failure check_dense_config(const std::string& folder) {
  const std::string path = (std::filesystem::path(folder) / "config.json").string();
  const auto root = read_json_if_there(path);
  if (!root) {
    return root.error();
  }
  const data::JsonValue* value = root.value() ? root.value()->find("activation_function") : nullptr;
  const std::string* name = value != nullptr ? value->as_text() : nullptr;
  if (name == nullptr || !name->ends_with(".Identity")) {
    return DataError("expected torch.nn.modules.linear.Identity, found " +
                         (name != nullptr ? data::in_quotes(*name) : std::string("none")),
                     {.file = path, .field = "activation_function"});
  }
  return std::nullopt;
}

/// The modules of a modules.json.
struct SentenceModules {
  std::string pooling = "1_Pooling", dense{};  // folders
};

inline Result<SentenceModules> parse_modules(const data::JsonValue& root, const std::string& file) {
  SentenceModules modules;
  JsonFields fields(root, file);
  std::string kinds;  // in their order
  for (const JsonFields::Field& module : fields.list(fields.root())) {
    const JsonFields::Field type = fields.member(module, "type"),
                            path = fields.member(module, "path");
    const std::string name = fields.text(type), folder = fields.text(path);
    const std::string kind = name.substr(name.rfind('.') + 1);
    const bool plain = std::all_of(folder.begin(), folder.end(), [](char c) {
      return static_cast<unsigned char>(c) > 0x20 && c != '/' && c != '\\' && c != 0x7f;
    });
    if (!plain || folder.starts_with('.') || folder.size() > 255) {
      fields.fail(path, "expected the name of a folder beside, found " + data::in_quotes(folder));
    }
    kinds += (kinds.empty() ? "" : ", ") + data::printable(kind, 40);
    if (kind == "Transformer" && !folder.empty()) {
      fields.fail(path, "expected the model to lie beside, found " + data::in_quotes(folder));
    } else if (kind == "Pooling") {
      modules.pooling = folder;
    } else if (kind == "Dense") {
      modules.dense = folder;
    }
  }
  constexpr std::string_view known[] = {"Transformer, Pooling", "Transformer, Pooling, Normalize",
                                        "Transformer, Pooling, Dense",
                                        "Transformer, Pooling, Dense, Normalize"};
  if (std::find(std::begin(known), std::end(known), kinds) == std::end(known)) {
    fields.fail(fields.root(), "expected Transformer, Pooling, perhaps Dense, perhaps Normalize; "
                               "found " +
                                   (kinds.empty() ? std::string("none") : kinds));
  }
  if (fields.failure()) {
    return *fields.failure();
  }
  return modules;
}

}  // namespace detail

/// Reads them.
///
/// Errors  IoError of the system; DataError with file and field: not JSON, a value of the wrong type,
///         another order or kind of modules, a path that leads out of the folder, a pooling that is
///         none of ours
inline Result<SentenceFolder> try_read_sentence_folder(const std::string& path) {
  const auto beside = [&](const std::string& name) {
    return (std::filesystem::path(path) / name).string();
  };
  SentenceFolder found;
  detail::SentenceModules modules;
  const auto listed = detail::read_json_if_there(beside("modules.json"));
  if (!listed) {
    return listed.error();
  }
  if (listed.value()) {
    const auto parsed = detail::parse_modules(*listed.value(), beside("modules.json"));
    if (!parsed) {
      return parsed.error();
    }
    modules = parsed.value();
    found.dense = modules.dense.empty() ? std::string() : beside(modules.dense);
  }
  const auto pooling = detail::read_pooling(beside(modules.pooling + "/config.json"));
  if (!pooling) {
    return pooling.error();
  }
  found.pooling = pooling.value();
  const std::string limits = beside("sentence_bert_config.json");
  const auto root = detail::read_json_if_there(limits);
  if (!root) {
    return root.error();
  }
  if (root.value()) {
    JsonFields fields(*root.value(), limits);
    found.longest =
        static_cast<Index>(fields.integer(fields.root(), "max_seq_length", 0, 1, Index{1} << 24));
    if (fields.failure()) {
      return *fields.failure();
    }
  }
  return found;
}

}  // namespace simgr::SIMGR_ABI::io
