// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <simgr_cli/commands.hpp>

#include <simgr/analysis/memorization_study.hpp>

namespace simgr_cli {

/// A system and what it does.
struct StudiedFile {
  std::string name;  // short
  std::string file;  // empty: a table of training
  std::string kind;  // a model's, or "rankings", or "table"
  simgr::analysis::StudiedSystem numbers;
  std::optional<simgr::analysis::RecallGain> gain;  // over `over` of the results
};

/// What there is to be said.
struct MemorizationResults {
  std::string data;
  Index users = 0, items = 0, group_m = 0, transitions = 0;
  double mean_candidates = 0;
  simgr::analysis::StudyOptions options;
  simgr::analysis::MemGenCounts targets;
  std::vector<StudiedFile> systems, tables;  // those given; popular items, and one hop
  std::string over;                          // whom gains are over; empty: there are none

  double group_m_share() const { return static_cast<double>(group_m) / static_cast<double>(users); }
  /// Systems, then tables.
  std::vector<const StudiedFile*> all() const {
    std::vector<const StudiedFile*> list;
    for (const StudiedFile& system : systems) { list.push_back(&system); }
    for (const StudiedFile& table : tables) { list.push_back(&table); }
    return list;
  }
};

/// The page of it.
std::string memorization_page(const MemorizationResults& results);

}  // namespace simgr_cli
