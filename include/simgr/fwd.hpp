// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/flow.hpp>

// The names a host's own headers need, without their definitions. Default arguments of templates
// stand beside the definitions, because they may stand in one place only.

namespace simgr::SIMGR_ABI {

template <class T, std::size_t Rank, class Space>
class View;
template <class T>
struct Ragged;
template <class T>
struct RaggedView;
template <class T>
struct OwnedMatrix;
template <class T>
class Result;
class Arena;
class Error;
struct Serial;

struct Catalogue;
struct SemanticIds;
struct Recommended;
struct RecommendOptions;

template <Encoder E, Pooler P, Similarity S, Loss L, Ranker R, class Tasks>
class Recommender;

namespace data {
struct Evaluation;
struct Interactions;
struct ItemText;
struct Split;
}  // namespace data

namespace eval {
struct Metrics;
}  // namespace eval

namespace train {
struct FitOptions;
struct FitResult;
}  // namespace train

}  // namespace simgr::SIMGR_ABI
