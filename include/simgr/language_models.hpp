// SPDX-License-Identifier: Apache-2.0
#pragma once

// Language models as encoders, and their published folders: what simgr/simgr.hpp leaves out, because
// a recommender without one should not pay for it.

#include <simgr/encoder/causal_lm.hpp>
#include <simgr/encoder/masked_lm.hpp>
#include <simgr/io/config_fields.hpp>
#include <simgr/io/language_model_facts.hpp>
#include <simgr/io/mapped_file.hpp>
#include <simgr/io/model_config.hpp>
#include <simgr/io/model_export.hpp>
#include <simgr/io/model_folder.hpp>
#include <simgr/io/model_weights.hpp>
#include <simgr/io/tensor_names.hpp>
#include <simgr/io/tensor_plan.hpp>
#include <simgr/nn/rotary_attention.hpp>
#include <simgr/nn/rotary_block.hpp>
#include <simgr/nn/sentence_pooling.hpp>
