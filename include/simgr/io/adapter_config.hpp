// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <simgr/core/fields.hpp>
#include <simgr/io/config_fields.hpp>
#include <simgr/io/input_file.hpp>
#include <simgr/io/tensor_names.hpp>
#include <simgr/nn/lora.hpp>

// The adapter_config.json of Python's package peft:
//
//   {"peft_type": "LORA", "r": 8, "lora_alpha": 16, "target_modules": ["q_proj", "v_proj"], …}

namespace simgr::SIMGR_ABI::io {

/// What an adapter_config.json says.
struct AdapterFacts {
  Index rank = 8;
  double alpha = 8, dropout = 0;
  std::vector<std::string> targets{};  // names of maps, or ends of them; "all-linear": every map
  std::string base_model{}, task{};    // as the file has them, or empty

  bool operator==(const AdapterFacts&) const = default;
};

/// A map of a block that may have an adapter.
struct AdaptedMap {
  std::string_view weight;  // as our tables of names call it
  bool Adapters::*wanted;
};
inline constexpr AdaptedMap adapted_maps[] = {
    {"blocks.#.attention.query.weight", &Adapters::query},
    {"blocks.#.attention.key.weight", &Adapters::key},
    {"blocks.#.attention.value.weight", &Adapters::value},
    {"blocks.#.attention.out.weight", &Adapters::out},
    {"blocks.#.net.gate.weight", &Adapters::gate},
    {"blocks.#.net.up.weight", &Adapters::up},
    {"blocks.#.net.down.weight", &Adapters::down},
};

namespace detail {

constexpr std::string_view all_maps = "all-linear";

/// The published name of a map without the end of its weight: "layers.#.mlp.up_proj". Empty where
/// the family has no such map, or one whose parts are published apart.
inline std::string_view published_map(const NameMap& map, std::string_view weight) {
  for (const NameRule& rule : map.body) {
    if (rule.ours == weight && rule.form != TensorForm::stacked) {
      return rule.published.substr(0, rule.published.rfind('.'));
    }
  }
  return {};
}
inline std::string_view last_part(std::string_view name) {
  return name.substr(name.rfind('.') + 1);
}

/// null, false, or an object or list without anything in it.
inline bool says_nothing(const data::JsonValue* value) {
  return value == nullptr || value->is_null() || value->as_boolean() == false ||
         (value->as_object() != nullptr && value->as_object()->empty()) ||
         (value->as_array() != nullptr && value->as_array()->empty());
}

inline void read_targets(ConfigFields& fields, std::vector<std::string>& targets) {
  constexpr std::string_view key = "target_modules";
  const data::JsonValue* value = fields.find(key);
  if (value != nullptr && value->as_text() != nullptr && *value->as_text() == all_maps) {
    targets.emplace_back(all_maps);
    return;
  }
  const data::JsonValue::Array* list = value != nullptr ? value->as_array() : nullptr;
  for (std::size_t i = 0; list != nullptr && i < list->size(); ++i) {
    const std::string* name = (*list)[i].as_text();
    if (name == nullptr || name->empty()) {
      return fields.wrong(key, "expected names of maps, found " +
                                   std::string((*list)[i].kind_name()) + " as number " +
                                   std::to_string(i));
    }
    targets.push_back(*name);
  }
  if (targets.empty()) {
    fields.refuse(key, "a list of names of maps, or \"all-linear\"; expressions are not read");
  }
}

}  // namespace detail

/// Reads the text of an adapter_config.json.
///
/// Errors  DataError with file and field, expected and found: not JSON, another kind of adapter than
///         LoRA, an integer out of its range, a value of the wrong type, and what would be another
///         model than those computed here: DoRA, rank-stabilised scaling, ranks or alphas of their own
///         for some maps, biases, some layers alone, modules trained beside the adapters, and first
///         values that change the base. Members that are not known are passed over
inline Result<AdapterFacts> try_parse_adapter_config(std::string_view text,
                                                     const std::string& file = {}) {
  auto root = try_parse_config(text, file);
  if (!root) {
    return root.error();
  }
  Failure failure;
  ConfigFields fields(*root, file, failure);
  if (fields.word("peft_type", "") != "LORA") {
    fields.refuse("peft_type", "LORA");
  }
  AdapterFacts facts;
  facts.rank = fields.integer("r", 1, 65536, facts.rank);
  facts.alpha = fields.number("lora_alpha", 0, 1e6, facts.alpha);
  facts.dropout = fields.number("lora_dropout", 0, 0.99, facts.dropout);
  facts.base_model = fields.word("base_model_name_or_path", "");
  facts.task = fields.word("task_type", "");
  detail::read_targets(fields, facts.targets);
  if (fields.word("bias", "none") != "none") {
    fields.refuse("bias", "none: biases stay as they are");
  }
  fields.flag("fan_in_fan_out", false);  // of the base, which is read by its own names
  fields.require_flag("use_rslora", false, "updates are scaled by alpha / rank");
  fields.require_flag("use_dora", false, "columns have no magnitudes of their own");
  fields.require_flag("use_qalora", false, "what is read is not pooled");
  fields.require_flag("lora_bias", false, "adapters have no biases");
  for (const auto& [key, why] : std::initializer_list<std::pair<const char*, const char*>>{
           {"rank_pattern", "all adapters have one rank"},
           {"alpha_pattern", "all adapters have one alpha"},
           {"modules_to_save", "nothing but adapters is trained"},
           {"exclude_modules", "every layer has the same adapters"},
           {"layers_to_transform", "every layer has the same adapters"},
           {"layer_replication", "layers are those of the base"},
           {"target_parameters", "adapters stand beside maps"},
           {"trainable_token_indices", "nothing but adapters is trained"},
           {"alora_invocation_tokens", "adapters act on every token"},
           {"arrow_config", "adapters are not mixed"},
           {"use_bdlora", "matrices are whole"},
           {"kasa_config", "updates have no singular values of their own"},
           {"monteclora_config", "adapters are not drawn"},
           {"loftq_config", "the base stays as it is"}}) {
    if (!detail::says_nothing(root->find(key))) {
      fields.refuse(key, std::string("nothing: ") + why);
    }
  }
  // The first values of an adapter are gone; some change the base when an adapter is attached.
  if (const data::JsonValue* first = fields.find("init_lora_weights");
      first != nullptr && !first->as_boolean()) {
    const std::string* word = first->as_text();
    if (word == nullptr || (*word != "gaussian" && *word != "eva")) {
      fields.refuse("init_lora_weights", "true, false, gaussian or eva: the base stays as it is");
    }
  }
  if (failure) {
    return *std::move(failure);
  }
  return facts;
}

/// Reads the adapter_config.json of a folder.
///
/// Errors  IoError of the system; DataError as try_parse_adapter_config, and beyond 1 MiB
inline Result<AdapterFacts> try_read_adapter_config(const std::string& path) {
  const auto text = try_read_text(path, Index{1} << 20);
  if (!text) {
    return text.error();
  }
  return try_parse_adapter_config(text.value(), path);
}
inline AdapterFacts read_adapter_config(const std::string& path) {
  return try_read_adapter_config(path).value_or_raise();
}

/// The adapters of a model's blocks that a file means.
///
/// @param file  what messages call it
///
/// Errors  DataError: a target that is no map of the family's blocks; ConfigError: a family whose
///         blocks have no adapters
inline Result<Adapters> try_adapters_of(const AdapterFacts& adapter,
                                        const LanguageModelFacts& facts,
                                        const std::string& file = {}) {
  const NameMap map = name_map(facts);
  Adapters adapters{adapter.rank, adapter.alpha, adapter.dropout};
  std::string known;
  for (const AdaptedMap& candidate : adapted_maps) {
    adapters.*candidate.wanted = false;
    const std::string_view name = detail::published_map(map, candidate.weight);
    if (name.empty()) {
      return ConfigError(
          "blocks of " +
              std::string(names_of(facts.family)[static_cast<std::size_t>(facts.family)]) +
              " have no adapters here",
          {.file = file});
    }
    known += (known.empty() ? "" : ", ") + std::string(detail::last_part(name));
  }
  for (const std::string& target : adapter.targets) {
    bool found = false;
    for (const AdaptedMap& candidate : adapted_maps) {
      const std::string_view name = detail::published_map(map, candidate.weight);
      if (target == detail::all_maps || name.ends_with("." + target)) {
        adapters.*candidate.wanted = found = true;
      }
    }
    if (!found) {
      return DataError("expected maps of every layer, some of " + known + "; found " +
                           data::in_quotes(target),
                       {.file = file, .field = "target_modules"});
    }
  }
  return adapters;
}
inline Adapters adapters_of(const AdapterFacts& adapter, const LanguageModelFacts& facts,
                            const std::string& file = {}) {
  return try_adapters_of(adapter, facts, file).value_or_raise();
}

/// The text of an adapter_config.json, that Python's peft reads.
///
/// @param base_model  the name or folder of the model below
inline std::string format_adapter_config(const Adapters& adapters, const LanguageModelFacts& facts,
                                         std::string_view base_model) {
  const NameMap map = name_map(facts);
  std::string targets;
  for (const AdaptedMap& candidate : adapted_maps) {
    if (adapters.*candidate.wanted) {
      targets += (targets.empty() ? "\"" : ", \"") +
                 std::string(detail::last_part(detail::published_map(map, candidate.weight))) + '"';
    }
  }
  const bool speaks = facts.head != LanguageHead::none;
  return "{\n  \"peft_type\": \"LORA\",\n  \"task_type\": " +
         std::string(speaks ? "\"CAUSAL_LM\"" : "\"FEATURE_EXTRACTION\"") +
         ",\n  \"base_model_name_or_path\": " + data::json_quote(base_model) +
         ",\n  \"r\": " + simgr::detail::as_text(adapters.rank) +
         ",\n  \"lora_alpha\": " + simgr::detail::as_text(adapters.alpha) +
         ",\n  \"lora_dropout\": " + simgr::detail::as_text(adapters.dropout) +
         ",\n  \"target_modules\": [" + targets + "],\n  \"bias\": \"none\"" +
         ",\n  \"fan_in_fan_out\": false,\n  \"use_rslora\": false,\n  \"use_dora\": false" +
         ",\n  \"modules_to_save\": null,\n  \"init_lora_weights\": true" +
         ",\n  \"inference_mode\": true\n}\n";
}

}  // namespace simgr::SIMGR_ABI::io
