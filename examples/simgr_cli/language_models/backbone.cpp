// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdio>
#include <filesystem>

#include <simgr_cli/backbone.hpp>

#include <simgr/io/backbone.hpp>
#include <simgr/io/semantic_ids.hpp>

namespace simgr_cli {

BackbonePointer open_backbone(const BackboneOptions& options) {
  return std::make_shared<const simgr::io::Backbone>(
      simgr::io::Backbone::open(options.folder, options.adapter));
}

const ModelKind& kind_over(const std::string& model, const BackboneOptions& options,
                           const simgr::io::Backbone& backbone) {
  const bool narrow = options.precision == "bf16";
  std::string over_this;
  for (const ModelKind* kind : all_kinds()) {
    if (!kind->reads_backbone || kind->narrow != narrow || !kind->reads_backbone(backbone)) {
      continue;
    }
    const bool adapted = kind->export_adapters != nullptr;
    if (kind->name == model || (kind->over == model && (adapted || !options.adapts()))) {
      return *kind;
    }
    if ((over_this + " ").find(" " + kind->over + " ") == std::string::npos) {
      over_this += " " + kind->over;
    }
  }
  const auto family = static_cast<std::size_t>(backbone.facts().family);
  throw UsageError("no model named \"" + model + "\" reads a language model of the family " +
                   std::string(names_of(backbone.facts().family)[family]) + " in " +
                   options.precision + "; there are:" + (over_this.empty() ? " none" : over_this));
}

simgr::Prompt prompt_of(const simgr::io::Backbone& backbone, const BackboneOptions& options,
                        const DataFolder& folder) {
  simgr::io::PromptOptions how{.ids = options.prompt != "titles",
                               .texts = options.prompt != "ids",
                               .longest_text = options.title_words};
  if (!options.pattern.empty()) {
    how.pattern = options.pattern;
  }
  std::vector<std::string> titles;
  for (const simgr::data::ItemText& item : folder.texts) {
    titles.push_back(item.title.empty() ? simgr::data::item_text(item) : item.title);
  }
  if (static_cast<Index>(titles.size()) != folder.items() ||
      std::all_of(titles.begin(), titles.end(), [](const auto& one) { return one.empty(); })) {
    if (how.texts) {
      throw UsageError("--prompt " + options.prompt + ": the data folder has no titles of items");
    }
    titles.clear();
  }
  return backbone.prompt(how, titles);
}

simgr::Ragged<std::int32_t> words_of_digits(const simgr::io::Backbone& backbone,
                                            const std::string& ids) {
  return backbone.words_of(simgr::io::read_ids_and_terms(ids).terms);
}

}  // namespace simgr_cli
