// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include <simgr/core/ragged.hpp>

namespace simgr::SIMGR_ABI::data {

/// The users of one evaluation: what is known of each, and the item to be found.
struct Evaluation {
  Ragged<ItemId> histories;     // oldest first
  std::vector<ItemId> targets;  // [histories.sequences()]
  std::vector<UserId> users;    // [histories.sequences()], who it is
};

/// Train, validation and test, disjoint in their targets.
struct Split {
  Index items = 0;
  Ragged<ItemId> train;   // one sequence a user, all users
  Evaluation validation;  // history: train
  Evaluation test;        // history: train and the validation item
  Index too_short = 0;    // users with fewer than three items: trained on, never evaluated
};

}  // namespace simgr::SIMGR_ABI::data
