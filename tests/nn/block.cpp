// SPDX-License-Identifier: Apache-2.0
#include <simgr/nn/block.hpp>

#include <support/gradient_check.hpp>

using namespace simgr;

namespace {
const std::vector<Index> ragged{0, 3, 4, 8};
}

TEST_CASE_TEMPLATE("blocks give the gradients of their forward pass, dropout included", Placement,
                   PreNorm, PostNorm, QueryNorm) {
  using B = TransformerBlock<Causal, Placement, GeluTanh>;
  simgr_test::check_sequence_gradients<B>(
      {.width = 6, .heads = 2, .inner = 5, .dropout = .3, .attention_dropout = .4}, ragged, 6);
}
TEST_CASE("a bidirectional block without an output projection gives its gradients") {
  using B = TransformerBlock<Bidirectional, QueryNorm, Relu>;
  simgr_test::check_sequence_gradients<B>({.width = 6, .heads = 3, .inner = 5, .projected = false},
                                          ragged, 6);
}
