// SPDX-License-Identifier: Apache-2.0
// A host that counts: what it includes is the whole library, what it compiles is little.
#include <cstdio>

#include <simgr/simgr.hpp>

int main() {
  const auto interactions = simgr::data::read_sequences("sequences.tsv");
  const auto split = simgr::data::leave_one_out(interactions);
  simgr::Catalogue catalogue;
  catalogue.items = interactions.items;
  simgr::baselines::Popularity model(catalogue);
  model.fit(split);
  const simgr::ItemId history[] = {3, 17, 9};
  const auto list = model.recommend(history, 10);
  std::printf("%zu items\n", list.size());
  return list.size() == 10 ? 0 : 1;
}
