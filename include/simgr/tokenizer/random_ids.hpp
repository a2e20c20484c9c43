// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include <simgr/core/fields.hpp>
#include <simgr/core/rng.hpp>
#include <simgr/tokenizer/collision.hpp>

namespace simgr::SIMGR_ABI::tokenizer {

/// Numbers of random_ids, checked by it.
struct RandomIdsConfig {
  Index levels = 4;
  Index codes = 256;
  std::uint64_t seed = 1;
  Collision collision = Collision::digit;  // there are no codebooks to move by

  template <class F, class C>
  static void for_each_field(C& c, F&& f) {
    f(Field{"levels", 1, 64, "digits of an id, the disambiguation digit not counted"}, c.levels);
    f(Field{"codes", 1, 1 << 20, "codes of a digit"}, c.codes);
    f(Field{"seed", 0, 1.9e19, "seed of the draws"}, c.seed);
    f(Field{"collision", 0, 2, "items of one id stay, or get one digit more"}, c.collision);
  }
};

/// Ids that know nothing of the items, every digit drawn uniformly: the control for every result
/// with semantic ids. The digits drawn for item i depend on seed and i alone.
///
/// Shapes  [items, levels], or [items, levels + 1] with the disambiguation digit
/// Errors  ConfigError: a setting out of range
inline SemanticIds random_ids(Index items, const RandomIdsConfig& config = {}) {
  if (const std::string sentence = out_of_range(config); !sentence.empty()) {
    SIMGR_THROW(ConfigError(sentence));
  }
  SemanticIds ids;
  ids.codes = OwnedMatrix<std::int32_t>(items, config.levels);
  ids.codes_per_digit.assign(static_cast<std::size_t>(config.levels), config.codes);
  for (Index item = 0; item < items; ++item) {
    Rng rng(config.seed, static_cast<std::uint64_t>(item));
    for (std::int32_t& code : ids.codes.view().row(item)) {
      code = static_cast<std::int32_t>(rng.below(config.codes));
    }
  }
  return resolve_collisions(ids, config.collision);
}

}  // namespace simgr::SIMGR_ABI::tokenizer
