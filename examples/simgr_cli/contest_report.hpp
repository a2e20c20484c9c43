// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <simgr_cli/decoding.hpp>

#include <simgr/cpu/thread_pool.hpp>
#include <simgr/eval/evaluator.hpp>
#include <simgr/eval/report.hpp>
#include <simgr/eval/significance.hpp>

namespace simgr_cli {

using simgr::Index;

/// A model that was measured: what the page shows of it, and what that was computed from.
struct Competitor {
  simgr::eval::ReportedModel shown;
  simgr::eval::Metrics metrics;
  std::shared_ptr<const ServedModel> model;
  DecodingBias decoding{};
  double best_epoch = simgr::eval::absent;  // by validation
};

/// The list lengths that a contest measures at.
inline const std::vector<Index> contest_cutoffs{1, 2, 5, 10, 20, 50, 100};

/// All models against one of them, at NDCG@10 and HR@10.
struct Differences {
  std::size_t reference = 0;  // the model of the highest NDCG@10
  std::vector<simgr::eval::Significance> ndcg, hr;
};

/// Compares users in pairs, and gives each model the intervals of its means.
Differences compare_users(std::vector<Competitor>& models, simgr::cpu::ThreadPool& pool);

/// The parts of the page that compare: differences with their p, and lists by their length.
void add_comparisons(simgr::eval::Report& page, const std::vector<Competitor>& models,
                     const Differences& differences);

/// Lays open what the models say of a sample of users, each in terms of the ids that it has, else
/// of the ids of the contest.
void analyse(std::vector<Competitor>& models, const simgr::data::Evaluation& sample,
             const simgr::SemanticIds& ids, simgr::cpu::ThreadPool& pool);

/// The parts of the page about decoding: beams against exact lists, and digits predicted apart.
void add_decoding(simgr::eval::Report& page, const std::vector<Competitor>& models, Index users);

/// A sentence about each model that a pitfall of decoding is of.
void print_decoding(const std::vector<Competitor>& models);

/// Accuracy, cost and differences on standard output.
void print_tables(const std::vector<Competitor>& models, const Differences& differences);

}  // namespace simgr_cli
