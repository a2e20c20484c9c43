// SPDX-License-Identifier: Apache-2.0
// Your own table: a CSV with named columns, names as keys, a model of item ids.

#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include <simgr/baselines/sasrec.hpp>
#include <simgr/data/split.hpp>
#include <simgr/data/tables.hpp>
#include <simgr/train/trainer.hpp>

namespace {

/// Stands for your export: who bought what, and when.
void write_purchases(const char* path) {
  const std::vector<std::string> fruit = {"apple", "banana", "cherry", "damson", "elderberry"};
  std::ofstream file(path);
  file << "customer,bought,when\n";
  for (std::size_t customer = 0; customer < 200; ++customer) {
    for (std::size_t i = 0; i < 4; ++i) {  // everybody goes through the alphabet
      file << "c" << customer << "," << fruit[(customer + i) % fruit.size()] << ","
           << 1000 * customer + i << "\n";
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::string path = "purchases.csv";
  if (argc > 1) {
    path = argv[1];
  } else {
    write_purchases(path.c_str());
  }
  simgr::data::Interactions interactions;
  auto table =
      simgr::data::try_read_table(path, {.user = "customer", .item = "bought", .time = "when"});
  if (!table) {  // file, line and column are in the sentence
    std::fprintf(stderr, "%s\n", table.error().what());
    return 1;
  }
  interactions = std::move(table).value();
  const auto counts = simgr::data::count(interactions);
  std::printf("%td customers, %td items, %td purchases\n", counts.users, counts.items,
              counts.interactions);

  const auto split = simgr::data::leave_one_out(interactions);
  simgr::baselines::SasRec model({.items = interactions.items, .keys = interactions.item_keys},
                                 {.encoder = {.width = 16, .layers = 1, .heads = 1}});
  model.fit(split, {.epochs = 40, .batch = 32, .optimizer = {.rate = 1e-2}});

  const std::span<const simgr::ItemId> history = interactions.histories[0];
  for (const auto& [item, score] : model.recommend(history, 1)) {
    std::printf("customer %s should buy: %s\n", interactions.user_key(0).c_str(),
                interactions.item_key(item).c_str());
  }
  return 0;
}
