// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <vector>

#include <simgr_cli/item_vectors.hpp>
#include <simgr_cli/rq_vae_epochs.hpp>

#include <simgr/tokenizer/fit_plum.hpp>
#include <simgr/train/relations.hpp>

namespace simgr_cli {

namespace {

/// Neighbours among the items that occur in the training part, as rows of training_rows.
simgr::Ragged<ItemId> among_training_rows(const DataFolder& folder,
                                          const simgr::Ragged<ItemId>& neighbours) {
  const std::vector<bool> occurs = trained_items(folder);
  std::vector<ItemId> row_of(occurs.size(), -1), list;
  ItemId rows = 0;
  for (std::size_t item = 0; item < occurs.size(); ++item) {
    row_of[item] = occurs[item] ? rows++ : -1;
  }
  simgr::Ragged<ItemId> kept;
  for (Index item = 0; item < folder.items(); ++item) {
    if (occurs[static_cast<std::size_t>(item)]) {
      list.clear();
      for (const ItemId near : neighbours[item]) {
        if (const ItemId row = row_of[static_cast<std::size_t>(near)]; row >= 0) {
          list.push_back(row);
        }
      }
      kept.push_back(list);
    }
  }
  return kept;
}

}  // namespace

Made by_plum(Request& request) {
  const auto config = configured<tokenizer::PlumConfig>(request, "levels");
  if (config.contrastive > 0 && request.neighbours.sequences() == 0) {
    const Index keep = std::max<Index>(10, config.neighbours);
    request.neighbours = simgr::train::backfilled(
        simgr::train::collaborative_neighbours(request.folder.split.train, request.folder.items(),
                                               {.keep = keep}),
        simgr::train::semantic_neighbours(request.vectors.view(), keep, request.pool), keep);
  }
  const bool some = !request.fitted.empty() && request.neighbours.sequences() > 0;
  const auto fitted =
      some ? among_training_rows(request.folder, request.neighbours) : simgr::Ragged<ItemId>{};
  std::fprintf(stderr, "ids from texts and neighbours in histories, weight %g\n",
               config.contrastive);
  return made_of(request, tokenizer::fit_plum(request.to_fit(), some ? fitted : request.neighbours,
                                              config, EpochLines(config.rq_vae.epochs)));
}

}  // namespace simgr_cli
