// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <support/golden_compare.hpp>

// The family nn/ in three translation units: each function reads one kind of case in both scalars.

namespace simgr_test {

void check_normalisation(GoldenCase& golden);  // norms, softmax, L2
void check_activation(GoldenCase& golden);
void check_map(GoldenCase& golden);        // linear, LoRA, SwiGLU, embedding
void check_attention(GoldenCase& golden);  // attention, rotary position, mean over a sequence

/// Both scalars, one after another.
template <class F>
void in_both(F&& f) {
  f(double{});
  f(float{});
}

}  // namespace simgr_test
