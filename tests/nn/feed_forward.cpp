// SPDX-License-Identifier: Apache-2.0
#include <simgr/nn/feed_forward.hpp>

#include <support/gradient_check.hpp>

using namespace simgr;

TEST_CASE_TEMPLATE("feed-forward nets give the gradients of their forward pass, dropout included",
                   Net, FeedForward<Relu>, FeedForward<GeluTanh, Gated>, SwiGlu<>) {
  simgr_test::check_gradients<Net>({.width = 5, .inner = 7}, 6, 5);
  simgr_test::check_gradients<Net>({.width = 5, .inner = 7, .dropout = .3}, 6, 5);
}
