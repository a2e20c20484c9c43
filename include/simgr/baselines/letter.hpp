// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/baselines/defaults.hpp>
#include <simgr/baselines/lc_rec.hpp>
#include <simgr/baselines/tiger.hpp>

namespace simgr::SIMGR_ABI::baselines {

/// LETTER: a tokenizer for generative recommenders, and a loss for those that read its ids. The
/// tokenizer is an RQ-VAE whose codes also say who is bought together and keep apart
/// (tokenizer/fit_letter.hpp); the recommender is TIGER or LC-Rec, trained at a temperature below 1,
/// so that hard negatives weigh more. So LETTER is a type of theirs, other ids and one number.
///
/// Source  Wang et al., "Learnable Item Tokenization for Generative Recommendation", CIKM 2024,
///         sections 3.2 and 3.3
using Letter = Tiger;

/// LETTER on the decoder-only model.
using LetterLcRec = LcRec;

/// The numbers of the model below, and the temperature that its authors found best.
template <class Model>
constexpr Defaults<Model> at_letters_temperature(Defaults<Model> defaults) {
  defaults.model.loss.temperature = 0.7;
  return defaults;
}
inline constexpr Defaults<Letter> letter_defaults = at_letters_temperature(tiger_defaults);
inline constexpr Defaults<LetterLcRec> letter_lc_rec_defaults =
    at_letters_temperature(lc_rec_defaults);

}  // namespace simgr::SIMGR_ABI::baselines
