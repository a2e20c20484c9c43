// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/baselines/defaults.hpp>
#include <simgr/train/light_gcn.hpp>

namespace simgr::SIMGR_ABI::baselines {

/// LightGCN: a row for each user and item, propagated along who took what without weights or
/// activations, trained by BPR. Order and times mean nothing to it.
///
/// Its authors know users by their ids; here a history stands for its user, as train/light_gcn.hpp says,
/// and is read up to the item before the target, so that the last known item counts too.
///
/// Source  He et al., "LightGCN: Simplifying and Powering Graph Convolution Network for
///         Recommendation", SIGIR 2020
using LightGcn = train::LightGcn;

/// Width, layers, batch, regularisation and first values: section 4.1.2 and the published code. Its
/// authors train with a rate of 1e-3 for up to 1,000 epochs; with thrice the rate Beauty's validation
/// part is best before epoch 20.
inline constexpr Defaults<LightGcn> light_gcn_defaults{
    .model = {.width = 64, .layers = 3, .regularisation = 1e-4, .deviation = 0.1},
    .fit = {.epochs = 20,
            .batch = 2048,
            .evaluate_every = 5,
            .optimizer = {.kind = train::Optimizer::adam, .rate = 3e-3}},
    .space = "optimizer.rate=5e-4..1e-2:log,layers=1|2|3|4,regularisation=1e-6..1e-2:log"};

}  // namespace simgr::SIMGR_ABI::baselines
