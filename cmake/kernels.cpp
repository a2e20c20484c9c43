// SPDX-License-Identifier: Apache-2.0
// Defines the kernels that the files of a program share (simgr_share_kernels, development.cmake).
#include <simgr/cpu/cpu.hpp>
#include <simgr/data/json.hpp>
