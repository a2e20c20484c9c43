// SPDX-License-Identifier: Apache-2.0
#include <simgr/simgr.hpp>

simgr::Index draw_first() {
  const simgr::SemanticIds ids = simgr::tokenizer::random_ids(50, {});
  return ids.codes.view()(49, 0);
}
