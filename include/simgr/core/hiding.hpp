// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include <simgr/core/fields.hpp>
#include <simgr/core/rng.hpp>
#include <simgr/core/types.hpp>

namespace simgr::SIMGR_ABI {

/// Which items of a sequence are hidden, for a model to find. An item behind the catalogue's last one
/// stands in their places: the mask.
///
/// Serving asks for what stands behind the last item. A model that saw nothing but items hidden by
/// chance, among their neighbours of both sides, knows little of that: hence `last_alone`.
struct Hiding {
  double share = 0.2;       // of the items of a sequence, each by chance
  double last_alone = 0.5;  // of the sequences, that hide their last item and no other

  template <class F, class C>
  static void for_each_field(C& c, F&& f) {
    f(Field{"share", 0, 1, "of a sequence's items that are hidden, by chance"}, c.share);
    f(Field{"last_alone", 0, 1, "of the sequences that hide their last item and no other"},
      c.last_alone);
  }

  /// Puts `mask` in the place of some items, of one at least, and appends those to `targets`.
  void hide(Rng& rng, ItemId mask, std::span<ItemId> sequence, std::vector<ItemId>& targets) const {
    const std::size_t before = targets.size();
    const auto take = [&](ItemId& item) {
      targets.push_back(item);
      item = mask;
    };
    if (rng.uniform() < last_alone) {
      take(sequence.back());
      return;
    }
    for (ItemId& item : sequence) {
      if (rng.uniform() < share) {
        take(item);
      }
    }
    if (targets.size() == before) {
      take(sequence[static_cast<std::size_t>(rng.below(static_cast<Index>(sequence.size())))]);
    }
  }
};

}  // namespace simgr::SIMGR_ABI
