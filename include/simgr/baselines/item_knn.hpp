// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/train/counted_model.hpp>
#include <simgr/train/counts.hpp>

namespace simgr::SIMGR_ABI::baselines {

/// Item-kNN: a candidate is as good as the summed cosines of the items of a history that are among its
/// nearest neighbours. Order and times mean nothing to it.
///
/// Cosine, neighbours of the candidate and shrinkage are those of RecBole's ItemKNN, which has 100
/// neighbours and no shrinkage where nobody says otherwise; ten, shrunk by 32, are better on Beauty's
/// validation part. RecBole scores a user by the training history alone, this one by the history it is
/// given, and where no cosine says anything RecBole's order is arbitrary and this one that of
/// popularity.
///
/// Source  Deshpande & Karypis, "Item-based top-N recommendation algorithms", TOIS 2004
using ItemKnn = train::CountedModel<train::ItemKnn>;

}  // namespace simgr::SIMGR_ABI::baselines
