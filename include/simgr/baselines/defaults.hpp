// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include <simgr/train/fit_options.hpp>

namespace simgr::SIMGR_ABI::baselines {

/// The numbers a baseline is built and trained with unless somebody says otherwise. They stand at
/// the end of its header: that is the place to tune it, and to say what a search tries besides.
template <class Model>
struct Defaults {
  typename Model::Config model{};
  train::FitOptions fit{};
  /// As train::SearchSpace reads it; this one is for models that have no dropout.
  std::string_view space = "optimizer.rate=3e-4..1e-2:log,optimizer.weight_decay=1e-6..0.1:log";
};

/// What a search tries of encoders that are trained from nothing: they all have dropout.
inline constexpr std::string_view encoder_space =
    "optimizer.rate=5e-4..1e-2:log,encoder.dropout=0..0.6,encoder.width=64|128";
/// The same where scores are cosines.
inline constexpr std::string_view cosine_space =
    "optimizer.rate=5e-4..1e-2:log,encoder.dropout=0..0.6,encoder.width=64|128,"
    "similarity.temperature=0.02..0.2:log";
/// Of T5's shape, whose heads have a width of their own and whose training takes long.
inline constexpr std::string_view encoder_decoder_space =
    "optimizer.rate=2e-4..3e-3:log,encoder.dropout=0..0.4,optimizer.weight_decay=1e-4..0.1:log";

}  // namespace simgr::SIMGR_ABI::baselines
