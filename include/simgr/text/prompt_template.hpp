// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <simgr/core/config.hpp>
#include <simgr/core/error.hpp>

namespace simgr::SIMGR_ABI::text {

/// A text with named slots: "Items: {history}. Next:". Two braces are one that is meant.
///
/// Errors  ConfigError for a brace without its other, and an empty name
class PromptTemplate {
public:
  /// The name of a slot and what goes there.
  struct Value {
    std::string_view slot, text;
  };

  explicit PromptTemplate(std::string_view pattern) : literals_(1) {
    for (std::size_t at = 0; at < pattern.size(); ++at) {
      const char c = pattern[at];
      if (c != '{' && c != '}') {
        literals_.back() += c;
      } else if (at + 1 < pattern.size() && pattern[at + 1] == c) {
        literals_.back() += c;
        ++at;
      } else {
        const std::size_t end = c == '{' ? pattern.find_first_of("{}", at + 1) : at;
        if (end == std::string_view::npos || end <= at + 1 || pattern[end] == '{') {
          raise(ConfigError("a prompt template has an unfinished slot at byte " +
                            std::to_string(at)));
        }
        slots_.emplace_back(pattern.substr(at + 1, end - at - 1));
        literals_.emplace_back();
        at = end;
      }
    }
  }

  /// Names in order; one may stand twice.
  const std::vector<std::string>& slots() const noexcept { return slots_; }
  /// What stands before the first slot, the same in every prompt.
  const std::string& prefix() const noexcept { return literals_.front(); }
  /// What stands behind the last slot.
  const std::string& suffix() const noexcept { return literals_.back(); }

  /// The text with every slot filled; braces in values are text.
  ///
  /// Errors  ConfigError for a slot without a value
  std::string render(std::span<const Value> values) const {
    std::string text = literals_.front();
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      const Value* found = nullptr;
      for (const Value& value : values) { found = value.slot == slots_[i] ? &value : found; }
      if (found == nullptr) {
        raise(ConfigError("the slot {" + slots_[i] + "} of a prompt template has no value"));
      }
      text.append(found->text).append(literals_[i + 1]);
    }
    return text;
  }
  std::string render(std::initializer_list<Value> values) const {
    return render(std::span<const Value>(values.begin(), values.size()));
  }

private:
  std::vector<std::string> literals_;  // one more than slots
  std::vector<std::string> slots_;
};

/// How a chat model writes a conversation: what opens it, one turn, and what asks for the answer.
struct ChatTemplate {
  struct Turn {
    std::string_view role, content;
  };

  std::string opening;
  PromptTemplate turn;  // slots {role} and {content}
  std::string answer;

  /// Qwen2, Qwen2.5 and Qwen3 (ChatML). A system turn is the caller's.
  static ChatTemplate chat_ml() {
    return {"", PromptTemplate("<|im_start|>{role}\n{content}<|im_end|>\n"),
            "<|im_start|>assistant\n"};
  }
  /// Llama 3, 3.1 and 3.2, but for the dates that 3.1 and 3.2 put into a system turn.
  static ChatTemplate llama3() {
    return {"<|begin_of_text|>",
            PromptTemplate("<|start_header_id|>{role}<|end_header_id|>\n\n{content}<|eot_id|>"),
            "<|start_header_id|>assistant<|end_header_id|>\n\n"};
  }

  std::string render(std::span<const Turn> turns) const {
    std::string text = opening;
    for (const Turn& each : turns) {
      text += turn.render({{"role", each.role}, {"content", each.content}});
    }
    return text + answer;
  }
};

}  // namespace simgr::SIMGR_ABI::text
