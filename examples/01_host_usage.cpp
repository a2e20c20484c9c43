// SPDX-License-Identifier: Apache-2.0
// A host from interactions and item texts to recommendations: ids, training, serving, saving.

#include <cstdio>
#include <string>
#include <vector>

#include <simgr/baselines/simgr.hpp>
#include <simgr/data/split.hpp>
#include <simgr/data/synthetic_catalogue.hpp>
#include <simgr/io/model_file.hpp>
#include <simgr/text/tfidf.hpp>
#include <simgr/tokenizer/residual_kmeans.hpp>
#include <simgr/train/trainer.hpp>

using Model = simgr::baselines::SimGr;  // a recommender is a type

int main() {
  // A small built-in world; yours comes from simgr::data::read_sequences("sequences.tsv.gz").
  const auto world = simgr::data::synthetic_catalogue();
  const auto split = simgr::data::leave_one_out(world.interactions);

  std::vector<std::string> texts, keys;
  for (const simgr::data::ItemText& item : world.items) {
    texts.push_back(simgr::data::item_text(item));
    keys.push_back("item-" + std::to_string(keys.size()));
  }
  const auto vectors = simgr::text::text_vectors(texts, {.width = 32});
  const auto ids = simgr::tokenizer::residual_kmeans(vectors, {.levels = 3, .codes = 16});

  Model model({.keys = keys, .ids = ids}, {.encoder = {.width = 32, .layers = 1, .heads = 2}});
  model.fit(split, {.epochs = 5, .seed = 1}, [](const simgr::train::EpochReport& epoch) {
    std::printf("epoch %td  loss %.3f  validation NDCG@10 %.4f\n", epoch.epoch, epoch.loss,
                epoch.validation_ndcg10.value_or(0));
  });

  const std::vector<simgr::ItemId> history = {3, 17, 9};
  std::printf("after items 3, 17 and 9, which are not listed again:\n");
  for (const auto& [item, score] : model.recommend(history, 5)) {
    std::printf("  %-10s %.3f\n", model.catalogue().keys[static_cast<std::size_t>(item)].c_str(),
                static_cast<double>(score));
  }

  model.save("host_usage.simgr");  // the old file or the new one, never half
  Model served = Model::load("host_usage.simgr");

  // A new item needs its semantic id and nothing else; no other score changes.
  const auto of_first = std::as_const(ids).codes.view().slice(0, 1);
  served.add_items(of_first, {"brand-new"});
  const auto top = served.recommend(history, 3, {.seen = simgr::ranker::Seen::keep});
  std::printf("with %td items the best is %d\n", served.items(), top.front().item);
  return 0;
}
