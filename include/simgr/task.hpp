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

/// The tasks of one training run.
template <Task... Tasks>
struct TaskMix {};

}  // namespace simgr::SIMGR_ABI
