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
  /// What stands around the items, and between two.
  struct Wording {
    std::vector<std::int32_t> before{}, between{}, behind{};
    bool operator==(const Wording&) const = default;
  };
  /// A wording of a task besides the next item (task.hpp); one of several may be drawn.
  struct OfTask {
    std::string task;
    Wording wording;
  };

  Index words = 0;                      // rows of the table of words; 0: there is no prompt
  bool ids = true, read_texts = false;  // what is read of an item
  Wording wording{};
  Ragged<std::int32_t> texts{};  // [items]; of no sequences: none
  // Of training alone:
  std::vector<OfTask> tasks{};
  std::int32_t end = -1;   // the word that ends a text; -1: none
  Index longest_text = 0;  // words that texts were cut to; 0: all are whole

  bool empty() const noexcept { return words == 0; }
};

/// The first thing that keeps a model from reading it, or empty.
inline std::string problem_of(const Prompt& prompt) {
  const Prompt::Wording& wording = prompt.wording;
  if (wording.before.empty() && wording.behind.empty()) {
    return "expected words around the items, found none";
  }
  if (!prompt.ids && !prompt.read_texts) {
    return "expected ids, texts, or both, found neither";
  }
  if (prompt.read_texts && prompt.texts.sequences() == 0) {
    return "texts: expected those of all items, found none";
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
  const auto look_around = [&](const Prompt::Wording& around) {
    look_at("before", around.before);
    look_at("between", around.between);
    look_at("behind", around.behind);
  };
  look_around(wording);
  look_at("texts", prompt.texts.values);
  if (prompt.end >= 0) {
    look_at("end", {&prompt.end, 1});
  }
  for (const Prompt::OfTask& each : prompt.tasks) { look_around(each.wording); }
  return sentence;
}

/// Whether a model reads the same of both; tasks are no part of that.
inline bool read_alike(const Prompt& a, const Prompt& b) {
  return a.words == b.words && a.ids == b.ids && a.read_texts == b.read_texts &&
         a.wording == b.wording &&
         (!a.read_texts ||
          (a.texts.values == b.texts.values && a.texts.offsets == b.texts.offsets));
}

/// The same as the stages see it. Owns nothing.
struct PromptView {
  bool ids = true;
  std::span<const std::int32_t> before{}, between{}, behind{};
  RaggedView<std::int32_t> texts{};

  PromptView() = default;
  PromptView(const Prompt::Wording& wording, bool by_ids, RaggedView<std::int32_t> words) noexcept
      : ids(by_ids), before(wording.before), between(wording.between), behind(wording.behind),
        texts(words) {}
  PromptView(const Prompt& prompt) noexcept
      : PromptView(prompt.wording, prompt.ids,
                   prompt.read_texts ? prompt.texts.view() : RaggedView<std::int32_t>()) {}
  Index around() const noexcept { return static_cast<Index>(before.size() + behind.size()); }
};

}  // namespace simgr::SIMGR_ABI
