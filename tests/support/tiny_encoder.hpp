// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace simgr_test {

/// Numbers of an encoder small enough for finite differences over every weight.
template <class E>
typename E::Config tiny() {
  typename E::Config c;
  c.width = 6;
  c.layers = 1;
  c.inner = 5;
  c.max_length = 5;
  c.dropout = .1;
  c.attention_dropout = .2;
  return c;
}

}  // namespace simgr_test
