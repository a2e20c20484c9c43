// SPDX-License-Identifier: Apache-2.0
#pragma once

// CMake reads these three lines; nothing else states the version.
#define SIMGR_VERSION_MAJOR 0
#define SIMGR_VERSION_MINOR 1
#define SIMGR_VERSION_PATCH 0
