// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/pooler/positions.hpp>
#include <simgr/pooler/unpooled.hpp>

namespace simgr::SIMGR_ABI {

/// A state for each digit of the next item, one after another: the state of digit j has read the
/// history and the digits before j. It marks a model as autoregressive: training forces the target's
/// own digits (the encoder's forward_targets), serving decodes them (begin and step).
///
/// @tparam cut   how training examples are cut: one target for each item of a history, or one for
///               each prefix
///
/// Shapes      states [rows · digits, width], the digits of a row together, as they are
template <Examples cut>
struct SpeltDigits : Unpooled {
  using In = flow::TokenStates;
  using Out = flow::DigitStates;
  using Config = NoFields;
  static constexpr Examples examples = cut;
  static constexpr bool teacher_forcing = true;
};

/// For decoders that read on where the history ends: one pass teaches every next item of a user.
using EveryDigit = SpeltDigits<Examples::every_position>;
/// For encoder-decoders, whose encoder reads a history for one target.
using EveryDigitOfLast = SpeltDigits<Examples::every_prefix>;

/// For encoder-decoders that also give the state a history ends with.
///
/// Shapes      states [rows · digits + rows, width], as they are
struct EveryDigitAndEnd : EveryDigitOfLast {
  using In = flow::TokenAndEndStates;
  using Out = flow::DigitAndUserStates;
};

}  // namespace simgr::SIMGR_ABI
