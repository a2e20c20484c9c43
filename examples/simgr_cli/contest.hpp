// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include <simgr_cli/commands.hpp>

#include <simgr/eval/report.hpp>

namespace simgr_cli {

/// Models that are trained on the same data with the same ids, and model files, each with the ids
/// that it has; all measured on the same cases.
struct Contest {
  const DataFolder& folder;
  std::string name;                 // of the data, for people
  std::string out;                  // folder of the models, their states and logs
  std::vector<std::string> models;  // words of the table of models, and paths of model files
  IdSource ids{};
  simgr::SemanticIds given_ids{};                              // where the caller has them already
  std::string given_by{};                                      // and where from, for people
  std::vector<Setting> settings{};                             // a model takes those that it has
  std::map<std::string, std::vector<Setting>> own_settings{};  // of one model besides
  bool resume = true;
  Index analysed = 200;  // users of whom every item is scored exactly, to hold beams against
};

/// Trains and evaluates all, prints a table on standard output, and writes the page `report`.
///
/// Errors  UsageError: a setting that no model has, two models of a name
///         simgr::Error of the data and the files, before anything is trained
void hold(const Contest& contest, const std::string& report, simgr::cpu::ThreadPool& pool);

}  // namespace simgr_cli
