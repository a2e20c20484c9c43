// SPDX-License-Identifier: Apache-2.0
#include <simgr/language_models.hpp>
#include <simgr/simgr.hpp>
