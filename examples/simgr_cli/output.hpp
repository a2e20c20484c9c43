// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace simgr_cli {

/// What a command writes, and therefore what it may replace: an older file of the same kind.
enum class Output { model, log, ids, report, vectors };

/// Whether a file that can be read is of the kind, as its beginning tells; one of no bytes is of
/// every kind.
bool is_kind(const std::string& path, Output kind);

/// Told before any work: whether `path` can be written and replaces nothing of the user's, nor its
/// `.previous` where a model is written.
/// Errors  simgr::IoError: the folder is not there or cannot be written to; the file is there and is
/// of another kind
void require_output(const std::string& path, Output kind);

/// Makes a folder, with those above it.
/// Errors  simgr::IoError
void make_folder(const std::string& path);

}  // namespace simgr_cli
