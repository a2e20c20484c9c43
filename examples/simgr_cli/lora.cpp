// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <iterator>

#include <simgr_cli/backbone.hpp>

namespace simgr_cli {

namespace {
struct Map {
  const char *word, *setting;
};
constexpr Map all_maps[] = {{"query", "encoder.lora_query"}, {"key", "encoder.lora_key"},
                            {"value", "encoder.lora_value"}, {"qkv", "encoder.lora_joint"},
                            {"out", "encoder.lora_out"},     {"gate", "encoder.lora_gate"},
                            {"up", "encoder.lora_up"},       {"down", "encoder.lora_down"}};

/// The maps of a published model: those that have adapters unless told otherwise.
std::vector<Map> maps_of(const ModelKind& kind) {
  std::vector<Map> maps;
  const auto fields = kind.settings();
  std::copy_if(std::begin(all_maps), std::end(all_maps), std::back_inserter(maps),
               [&](const Map& map) {
                 return std::any_of(fields.begin(), fields.end(), [&](const auto& field) {
                   return field.name == map.setting && field.value == "true";
                 });
               });
  return maps;
}
}  // namespace

void require_adapters(const BackboneOptions& options, const ModelKind& kind) {
  if (options.adapts() && !kind.export_adapters) {
    throw UsageError((options.adapter.empty() ? "--lora: " : "--adapter: ") + kind.name +
                     " has no adapters; " +
                     (kind.over.empty() ? "models over a language model have, by --backbone"
                                        : kind.over + " has"));
  }
}

std::vector<Setting> settings_of_lora(const std::string& text, const ModelKind& kind) {
  const std::vector<Map> maps = maps_of(kind);
  const auto refuse = [&](const std::string& part) {
    std::string words;
    for (const Map& map : maps) { words += (words.empty() ? "" : ", ") + std::string(map.word); }
    return UsageError("--lora " + text + ": \"" + part +
                      "\": expected rank=R, alpha=A, dropout=D, and targets=out+up of " + words);
  };
  std::vector<Setting> settings = {{"encoder.frozen", "true"}};
  bool ranked = false;  // without a rank there would be no adapter
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string part = text.substr(begin, end - begin);
    const std::size_t equals = part.find('=');
    const std::string name = part.substr(0, equals),
                      value = equals == std::string::npos ? "" : part.substr(equals + 1);
    if (value.empty()) {
      throw refuse(part);
    }
    if (name == "targets") {
      std::string left = "+" + value + "+";
      for (const Map& map : maps) {
        const std::string wanted = "+" + std::string(map.word) + "+";
        const std::size_t at = left.find(wanted);
        settings.push_back({map.setting, at == std::string::npos ? "false" : "true"});
        if (at != std::string::npos) {
          left.replace(at, wanted.size(), "+");
        }
      }
      if (left != "+") {
        throw refuse(part);
      }
    } else if (name == "rank" || name == "alpha" || name == "dropout") {
      settings.push_back({"encoder.lora_" + name, value});
      ranked = ranked || name == "rank";
    } else {
      throw refuse(part);
    }
    begin = end + 1;
  }
  if (!ranked) {
    throw refuse("rank");
  }
  return settings;
}

}  // namespace simgr_cli
