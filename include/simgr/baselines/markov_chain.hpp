// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/train/counted_model.hpp>
#include <simgr/train/counts.hpp>

namespace simgr::SIMGR_ABI::baselines {

/// A Markov chain of first order: what most often came right behind the last item, by counts that
/// are smoothed by a prior, so that popularity decides between equal counts and behind an item that
/// nothing followed.
///
///   p(v | h) = (count(h, v) + prior · share(v)) / (count(h) + prior)
///
/// Source  Rendle, Freudenthaler, Schmidt-Thieme, "Factorizing personalized Markov chains for
///         next-basket recommendation", WWW 2010, section 4.1: the chain before it is factorised
using MarkovChain = train::CountedModel<train::MarkovChain>;

/// The one-hop frequency table: the same counts, summed over all items of a history. What it lists is
/// what a model can know by having memorised which item followed which.
///
/// Source  the candidates of the memorization analysis of arXiv 2606.17276, ranked by their counts; as a
///         recommender it is ours
using OneHop = train::CountedModel<train::OneHop>;

}  // namespace simgr::SIMGR_ABI::baselines
