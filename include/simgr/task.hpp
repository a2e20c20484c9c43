// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <string_view>

#include <simgr/core/config.hpp>

namespace simgr::SIMGR_ABI {

/// What a model is trained to predict: a tag with a name, whose examples are built in train/.
template <class T>
concept Task = requires {
  { T::name } -> std::convertible_to<std::string_view>;
};

/// The next item of every history.
struct NextItem {
  static constexpr std::string_view name = "next-item";
};

// LC-Rec's alignment: tasks over prompts that tie semantic ids to the words of items' texts. Each says
// what its prompt reads, the history of a user or one item, by ids or by texts, and whether it predicts
// words or an id. Needs an Encoder over prompts that spells items.
//
// Source  Zheng et al. 2024 (LC-Rec), section III-C

/// The id of an item by its text.
struct ItemToIndex {
  static constexpr std::string_view name = "item-to-index";
  static constexpr bool reads_history = false, reads_ids = false, predicts_text = false;
};
/// The text of an item by its id.
struct IndexToItem {
  static constexpr std::string_view name = "index-to-item";
  static constexpr bool reads_history = false, reads_ids = true, predicts_text = true;
};
/// The text of the next item by the ids of a history.
struct HistoryToText {
  static constexpr std::string_view name = "history-to-text";
  static constexpr bool reads_history = true, reads_ids = true, predicts_text = true;
};
/// The id of the next item by the texts of a history.
struct TextsToIndex {
  static constexpr std::string_view name = "texts-to-index";
  static constexpr bool reads_history = true, reads_ids = false, predicts_text = false;
};

/// Whether a task is one of those.
template <class T>
concept AlignmentTask = Task<T> && requires {
  { T::predicts_text } -> std::convertible_to<bool>;
};

/// The tasks of one training run.
template <Task... Tasks>
struct TaskMix {};

}  // namespace simgr::SIMGR_ABI
