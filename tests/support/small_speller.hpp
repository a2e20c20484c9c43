// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/catalogue.hpp>
#include <simgr/core/rng.hpp>
#include <simgr/tokenizer/random_ids.hpp>

// TIGER and its kin, small enough to be trained in a second or varied weight by weight.

namespace simgr_test {

/// Two layers each, without dropout: learns a walk over forty items.
template <class Config>
Config small_speller(Config config) {
  config.encoder.width = 16;
  config.encoder.layers = config.encoder.decoder_layers = 2;
  config.encoder.heads = 3;
  config.encoder.head_width = 6;
  config.encoder.inner = 24;
  config.encoder.dropout = 0;
  return config;
}

/// One layer each, for finite differences over every weight.
template <class E>
typename E::Config tiny_speller() {
  typename E::Config c;
  c.width = 5;
  c.layers = c.decoder_layers = 1;
  c.heads = 2;
  c.head_width = 3;
  c.inner = 7;
  c.max_length = 5;
  c.dropout = .2;
  c.buckets = 8;
  c.farthest = 9;
  return c;
}

/// Forty items of three digits; every seventh is in no training history.
inline simgr::Catalogue forty_items() {
  simgr::Catalogue catalogue{.items = 40};
  catalogue.ids = simgr::tokenizer::random_ids(40, {.levels = 3, .codes = 5});
  for (simgr::ItemId item = 0; item < 40; ++item) { catalogue.popularity.push_back(item % 7); }
  return catalogue;
}

/// The same, with two lists each that walks do not tell.
inline simgr::Catalogue related(simgr::Catalogue catalogue) {
  for (simgr::ItemId item = 0; item < 40; ++item) {
    const simgr::ItemId near[] = {(item * 3 + 5) % 40, (item + 17) % 40},
                        alike[] = {(item * 7 + 2) % 40};
    catalogue.relations.collaborative.push_back(near);
    catalogue.relations.semantic.push_back(alike);
  }
  return catalogue;
}
/// The same, with a text each.
inline simgr::Catalogue told(simgr::Catalogue catalogue) {
  catalogue.text_vectors = simgr::OwnedMatrix<float>(40, 8);
  simgr::Rng rng(11);
  for (float& value : catalogue.text_vectors.values) { value = static_cast<float>(rng.normal()); }
  return catalogue;
}

}  // namespace simgr_test
