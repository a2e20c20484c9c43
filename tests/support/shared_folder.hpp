// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>

namespace simgr_test {

/// The folder with data sets and golden vectors that is not part of the repository: SIMGR_SHARED,
/// else ../shared beside it. Prints one line and gives nothing where there is none.
inline std::optional<std::filesystem::path> shared_folder() {
  std::filesystem::path folder = "../shared";
#if defined(SIMGR_SOURCE_DIR)
  folder = std::filesystem::path(SIMGR_SOURCE_DIR) / "../shared";
#endif
  if (const char* chosen = std::getenv("SIMGR_SHARED")) {
    folder = chosen;
  }
  std::error_code error;
  if (std::filesystem::is_directory(folder, error)) {
    return folder.lexically_normal();
  }
  std::printf("skipped: no folder %s (set SIMGR_SHARED)\n", folder.string().c_str());
  return std::nullopt;
}

}  // namespace simgr_test
