// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <filesystem>
#include <map>
#include <string>

#include <simgr_cli/commands.hpp>

#include <simgr/io/model_config.hpp>
#include <simgr/io/model_layout.hpp>
#include <simgr/io/model_memory.hpp>

// What a published checkpoint is and what memory it will need, from its headers alone: no weight is
// read.

namespace simgr_cli {

namespace {

using simgr::io::LanguageFamily;
using simgr::io::LanguageModelFacts;
using simgr::io::ModelFolder;

/// "988 MB"
std::string bytes_text(double bytes) {
  const char* units[] = {"B", "kB", "MB", "GB", "TB"};
  std::size_t unit = 0;
  while (bytes >= 999.5 && unit + 1 < std::size(units)) {
    bytes /= 1000;
    ++unit;
  }
  char text[32];
  std::snprintf(text, sizeof text, bytes < 9.995 && unit > 0 ? "%.2f %s" : "%.0f %s", bytes,
                units[unit]);
  return text;
}

std::string word_of(LanguageFamily family) {
  return std::string(names_of(family)[static_cast<std::size_t>(family)]);
}

void print_model(const LanguageModelFacts& facts, const ModelFolder& folder) {
  std::printf("checkpoint: %s, family %s, %zu file%s\n", facts.architecture.c_str(),
              word_of(facts.family).c_str(), folder.files().size(),
              folder.files().size() == 1 ? "" : "s");
  std::printf("model: %td blocks", facts.layers);
  if (facts.decoder_layers > 0) {
    std::printf(" and %td of the decoder", facts.decoder_layers);
  }
  std::printf(", width %td, %td heads of %td", facts.width, facts.heads, facts.head_width);
  if (facts.key_value_heads != facts.heads) {
    std::printf(" (%td of keys and values)", facts.key_value_heads);
  }
  const std::string activation(
      names_of(facts.activation)[static_cast<std::size_t>(facts.activation)]);
  std::printf(", inner %td, %s%s\n", facts.inner, facts.gated ? "gated " : "", activation.c_str());
  std::printf("tokens: %td", facts.vocabulary);
  if (facts.positions > 0) {
    std::printf(", at most %td a text", facts.positions);
  }
  const bool head = facts.head != simgr::io::LanguageHead::none;
  std::printf(", %s\n", !head             ? "no head"
                        : facts.tied_head ? "the head is their table"
                                          : "a head of its own");
}

/// Bytes of all tensors; prints how many of each type there are.
double print_weights(const ModelFolder& folder) {
  std::map<std::string, Index> elements;
  double bytes = 0;
  Index parameters = 0;
  for (const ModelFolder::Tensor& tensor : folder.tensors()) {
    elements[std::string(name_of(tensor.view->dtype))] += tensor.view->size();
    bytes += static_cast<double>(tensor.view->bytes.size());
    parameters += tensor.view->size();
  }
  std::string types;
  for (const auto& [name, count] : elements) {
    types += types.empty() ? "" : ", ";
    types += (elements.size() > 1 ? std::to_string(count) + " " : "") + name;
  }
  std::printf("weights: %td parameters in %zu tensors, %s (%s)\n", parameters,
              folder.tensors().size(), bytes_text(bytes).c_str(), types.c_str());
  return bytes;
}

/// Weights of adapters beside all maps of all blocks.
double adapter_weights(const simgr::ParameterTable& table, Index rank) {
  double weights = 0;
  for (const simgr::TensorEntry& tensor : table.tensors) {
    if (tensor.shape.size() == 2 && tensor.name.find("blocks.") != std::string::npos) {
      weights += static_cast<double>(rank * (tensor.shape[0] + tensor.shape[1]));
    }
  }
  return weights;
}

void print_memory(const LanguageModelFacts& facts, const simgr::ParameterTable& table,
                  double stored, const InspectOptions& options) {
  constexpr double number = sizeof(float);
  const double weights = static_cast<double>(table.parameters());
  const Index layers = facts.decoder_layers > 0 ? facts.decoder_layers : facts.layers;
  std::printf("to serve: %s of weights as they are, %s as floats", bytes_text(stored).c_str(),
              bytes_text(number * weights).c_str());
  if (facts.causal || facts.decoder_layers > 0) {
    const double kept = static_cast<double>(2 * layers * facts.key_value_heads * facts.head_width);
    std::printf("; %s a token for keys and values", bytes_text(number * kept).c_str());
  }
  const double tokens = static_cast<double>(options.texts * options.tokens);
  const double states = number * tokens * simgr::io::numbers_in_training(facts, options.tokens);
  const double adapters = adapter_weights(table, options.rank);
  std::printf("\nto train on %td texts of %td tokens:\n", options.texts, options.tokens);
  std::printf("  all weights: %s of weights, gradients and two moments, and about %s of states\n",
              bytes_text(4 * number * weights).c_str(), bytes_text(states).c_str());
  std::printf("  adapters of rank %td beside all maps: %s of weights as floats or %s with "
              "--precision bf16, "
              "%s for %.3g million weights of adapters, and about %s of states\n",
              options.rank, bytes_text(number * weights).c_str(),
              bytes_text(number / 2 * weights).c_str(), bytes_text(4 * number * adapters).c_str(),
              adapters / 1e6, bytes_text(states).c_str());
}

}  // namespace

void inspect_folder(const InspectOptions& options) {
  const ModelFolder folder = ModelFolder::open(options.path);
  const LanguageModelFacts facts = simgr::io::read_model_config(folder.beside("config.json"));
  const simgr::ParameterTable table = simgr::io::model_layout(facts);
  // Headers alone; what does not fit is said before anything else.
  (void)simgr::io::try_plan_tensors(folder, facts, table).value_or_raise();
  print_model(facts, folder);
  const double stored = print_weights(folder);
  print_memory(facts, table, stored, options);
}

}  // namespace simgr_cli
