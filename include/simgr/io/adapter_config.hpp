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

/// A map of a block that may have an adapter. A family has some of them.
struct AdaptedMap {
  std::string_view weight;  // as our tables of names call it
  bool Adapters::*wanted;
  std::string_view stacked{};  // the map of ours that it is a part of
  Index part = 0;
};
inline constexpr AdaptedMap adapted_maps[] = {
    {"blocks.#.attention.query.weight", &Adapters::query, "blocks.#.attention.qkv.weight", 0},
    {"blocks.#.attention.key.weight", &Adapters::key, "blocks.#.attention.qkv.weight", 1},
    {"blocks.#.attention.value.weight", &Adapters::value, "blocks.#.attention.qkv.weight", 2},
    {"blocks.#.attention.qkv.weight", &Adapters::joint},
    {"blocks.#.attention.out.weight", &Adapters::out},
    {"blocks.#.net.gate.weight", &Adapters::gate},
    {"blocks.#.net.up.weight", &Adapters::up},
    {"blocks.#.net.down.weight", &Adapters::down},
    {"blocks.#.up.weight", &Adapters::up},
    {"blocks.#.down.weight", &Adapters::down},
};

namespace detail {

constexpr std::string_view all_maps = "all-linear";

/// The published name of a map without the end of its weight: "layers.#.mlp.up_proj". Empty where
/// the family has no such map.
inline std::string_view published_map(const NameMap& map, const AdaptedMap& adapted) {
  for (const NameRule& rule : map.body) {
    if (rule.form == TensorForm::stacked ? rule.ours == adapted.stacked && rule.part == adapted.part
                                         : rule.ours == adapted.weight) {
      return rule.published.substr(0, rule.published.rfind('.'));
    }
  }
  return {};
}
/// Whether a target of a file means a published map: it is the end of its name.
inline bool aims_at(std::string_view target, std::string_view published) {
  return target == all_maps || published.ends_with("." + std::string(target));
}
/// The shortest end of its name that means a map and none but wanted ones; empty: there is none.
inline std::string_view target_of(const NameMap& map, const AdaptedMap& adapted,
                                  const Adapters& adapters) {
  const std::string_view name = published_map(map, adapted);
  for (std::size_t dot = name.rfind('.'); dot != std::string_view::npos && dot > 0;
       dot = name.rfind('.', dot - 1)) {
    const std::string_view end = name.substr(dot + 1);
    if (end.starts_with('#')) {
      break;
    }
    if (std::none_of(std::begin(adapted_maps), std::end(adapted_maps),
                     [&](const AdaptedMap& other) {
                       return !(adapters.*other.wanted) && aims_at(end, published_map(map, other));
                     })) {
      return end;
    }
  }
  return {};
}

inline Adapters no_maps() {
  Adapters adapters;
  for (const AdaptedMap& map : adapted_maps) { adapters.*map.wanted = false; }
  return adapters;
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
  Adapters adapters = detail::no_maps();
  adapters.rank = adapter.rank;
  adapters.alpha = adapter.alpha;
  adapters.dropout = adapter.dropout;
  std::string known;
  for (const AdaptedMap& candidate : adapted_maps) {
    const std::string_view name = detail::published_map(map, candidate);
    if (!name.empty()) {
      Adapters alone = detail::no_maps();
      alone.*candidate.wanted = true;
      const std::string_view end = detail::target_of(map, candidate, alone);
      known += (known.empty() ? "" : ", ") +
               std::string(end.empty() ? name.substr(name.rfind('#') + 2) : end);
    }
  }
  if (known.empty()) {
    return ConfigError(
        "blocks of " + std::string(names_of(facts.family)[static_cast<std::size_t>(facts.family)]) +
            " have no adapters here",
        {.file = file});
  }
  for (const std::string& target : adapter.targets) {
    bool found = false;
    for (const AdaptedMap& candidate : adapted_maps) {
      const std::string_view name = detail::published_map(map, candidate);
      if (!name.empty() && detail::aims_at(target, name)) {
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
    if (!(adapters.*candidate.wanted) || detail::published_map(map, candidate).empty()) {
      continue;
    }
    const std::string target = '"' + std::string(detail::target_of(map, candidate, adapters)) + '"';
    if (targets.find(target) == std::string::npos) {
      targets += (targets.empty() ? "" : ", ") + target;
    }
  }
  // peft has no word for BERT's head of masked tokens.
  const bool speaks = facts.head != LanguageHead::none && facts.family != LanguageFamily::bert;
  return "{\n  \"peft_type\": \"LORA\",\n  \"task_type\": " +
         std::string(speaks ? "\"CAUSAL_LM\"" : "\"FEATURE_EXTRACTION\"") +
         ",\n  \"base_model_name_or_path\": " + data::json_quote(base_model) +
         ",\n  \"r\": " + simgr::detail::as_text(adapters.rank) +
         ",\n  \"lora_alpha\": " + simgr::detail::as_text(adapters.alpha) +
         ",\n  \"lora_dropout\": " + simgr::detail::as_text(adapters.dropout) +
         ",\n  \"target_modules\": [" + targets + "],\n  \"bias\": \"none\"" +
         ",\n  \"fan_in_fan_out\": " +  // whether maps are [in, out]
         (facts.family == LanguageFamily::gpt2 ? "true" : "false") +
         ",\n  \"use_rslora\": false,\n  \"use_dora\": false" +
         ",\n  \"modules_to_save\": null,\n  \"init_lora_weights\": true" +
         ",\n  \"inference_mode\": true\n}\n";
}

}  // namespace simgr::SIMGR_ABI::io
