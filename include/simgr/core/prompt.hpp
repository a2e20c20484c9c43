// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <simgr/core/ragged.hpp>

namespace simgr::SIMGR_ABI {

/// What a language model reads of a history, in rows of its table of words:
///
///   before, item, between, item, …, between, item, behind
///
/// An item is the tokens of its semantic id, the words of its text, or both, the id first.
struct Prompt {
  Index words = 0;  // rows of the table of words; 0: there is no prompt
  bool ids = true;  // whether items are read by their ids
  std::vector<std::int32_t> before{}, between{}, behind{};
  Ragged<std::int32_t> texts{};  // [items]; of no sequences: items are read without texts

  bool empty() const noexcept { return words == 0; }
};

/// The first thing that keeps a model from reading it, or empty.
inline std::string problem_of(const Prompt& prompt) {
  if (prompt.before.empty() && prompt.behind.empty()) {
    return "expected words around the items, found none";
  }
  if (!prompt.ids && prompt.texts.sequences() == 0) {
    return "expected ids, texts, or both, found neither";
  }
  std::string sentence;
  const auto look_at = [&](const char* name, std::span<const std::int32_t> words) {
    for (const std::int32_t word : words) {
      if (sentence.empty() && (word < 0 || word >= prompt.words)) {
        sentence = std::string(name) + ": expected 0 to " + std::to_string(prompt.words - 1) +
                   ", found " + std::to_string(word);
      }
    }
  };
  look_at("before", prompt.before);
  look_at("between", prompt.between);
  look_at("behind", prompt.behind);
  look_at("texts", prompt.texts.values);
  return sentence;
}

/// The same as the stages see it. Owns nothing.
struct PromptView {
  bool ids = true;
  std::span<const std::int32_t> before{}, between{}, behind{};
  RaggedView<std::int32_t> texts{};

  PromptView() = default;
  PromptView(const Prompt& prompt) noexcept
      : ids(prompt.ids), before(prompt.before), between(prompt.between), behind(prompt.behind),
        texts(prompt.texts.view()) {}
};

}  // namespace simgr::SIMGR_ABI
