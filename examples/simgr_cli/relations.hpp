// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include <simgr_cli/data_folder.hpp>
#include <simgr_cli/kind.hpp>

namespace simgr_cli {

/// What a model learns besides the next item, as the command line says it.
struct TaskOptions {
  std::string mix;                      // collaborative=1,semantic=1; empty: nothing
  std::string collaborative, semantic;  // neighbours.tsv; empty: made of the data
};

/// The weights of the mixture as settings.
///
/// Errors  UsageError: another name, no number, or a model that learns no neighbours
std::vector<Setting> settings_of_tasks(const TaskOptions& options, const ModelKind& kind);

/// The neighbours that the mixture needs: those of files, or collaborative ones counted in the training
/// part alone, filled along the semantic ones where those are asked for, and semantic ones of the vectors
/// of the items' texts.
///
/// Errors  simgr::Error: unreadable files, no texts
simgr::Relations relations_of(const TaskOptions& options, Index keep, const DataFolder& folder,
                              const IdSource& source, simgr::cpu::ThreadPool& pool);

}  // namespace simgr_cli
