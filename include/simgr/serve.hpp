// SPDX-License-Identifier: Apache-2.0
#pragma once

// Loading a trained model and serving from it; nothing that trains, reads data sets or measures.

#include <simgr/baselines/popularity.hpp>
#include <simgr/baselines/sasrec.hpp>
#include <simgr/baselines/simgr.hpp>
#include <simgr/io/model_file.hpp>
#include <simgr/serving.hpp>
#include <simgr/version.hpp>
