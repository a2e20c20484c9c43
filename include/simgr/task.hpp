// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <string_view>

#include <simgr/core/config.hpp>
#include <simgr/core/types.hpp>

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

// IIRG's relations: the neighbours of an item, best first, by the item's id. Each says which lists of the
// catalogue it reads. A model that spells items spells the list; any other is taught each listed
// item from the state of the one.
//
// Source  IIRG (arXiv 2606.17276); for models that do not spell, beyond the paper

/// Items that stand near it in histories.
struct CollaborativeNeighbours {
  static constexpr std::string_view name = "collaborative-neighbours";
  static const auto& lists(const auto& relations) noexcept { return relations.collaborative; }
  static double weight(const auto& options) noexcept { return options.collaborative; }
};
/// Items with a text like its own.
struct SemanticNeighbours {
  static constexpr std::string_view name = "semantic-neighbours";
  static const auto& lists(const auto& relations) noexcept { return relations.semantic; }
  static double weight(const auto& options) noexcept { return options.semantic; }
};

/// Whether a task is one of those.
template <class T>
inline constexpr bool is_neighbour_task =
    std::same_as<T, CollaborativeNeighbours> || std::same_as<T, SemanticNeighbours>;

/// The tasks of one training run.
template <Task... Tasks>
struct TaskMix {};

/// How many of a mixture are tasks of neighbours.
template <class Mix>
inline constexpr Index neighbour_tasks = 0;
template <class... Tasks>
inline constexpr Index neighbour_tasks<TaskMix<Tasks...>> = (Index{is_neighbour_task<Tasks>} + ... +
                                                             0);

}  // namespace simgr::SIMGR_ABI
