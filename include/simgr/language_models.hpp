// SPDX-License-Identifier: Apache-2.0
#pragma once

// Language models as encoders: what simgr/simgr.hpp leaves out, because a recommender without one
// should not pay for it.

#include <simgr/encoder/causal_lm.hpp>
#include <simgr/encoder/masked_lm.hpp>
#include <simgr/nn/rotary_attention.hpp>
#include <simgr/nn/rotary_block.hpp>
#include <simgr/nn/sentence_pooling.hpp>
