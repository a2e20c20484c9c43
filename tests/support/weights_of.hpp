// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

namespace simgr_test {

/// A copy of all weights of a model, to compare later ones with.
template <class Model>
std::vector<float> weights_of(const Model& model) {
  return {model.weights().begin(), model.weights().end()};
}

}  // namespace simgr_test
