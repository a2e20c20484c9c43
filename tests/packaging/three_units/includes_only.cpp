// SPDX-License-Identifier: Apache-2.0
#include <simgr/core/fields.hpp>
#include <simgr/core/parameter.hpp>
