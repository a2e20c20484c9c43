// SPDX-License-Identifier: Apache-2.0
// From your own CSV files to a model, and to a folder that the tool reads: simgr fit … --data shop

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include <simgr/baselines/sasrec.hpp>
#include <simgr/data/csv.hpp>
#include <simgr/data/split.hpp>
#include <simgr/data/tables.hpp>
#include <simgr/io/data_writer.hpp>
#include <simgr/train/trainer.hpp>

namespace {

/// Stands for your exports: who bought what and when, and what the products are called.
void write_tables() {
  const std::vector<std::string> fruit = {"apple", "banana", "cherry", "damson", "elderberry"};
  std::ofstream products("products.csv"), purchases("purchases.csv");
  products << "code,name\n";
  for (const std::string& name : fruit) { products << "F-" << name[0] << ",\"" << name << "\"\n"; }
  purchases << "customer,bought,when\n";
  for (std::size_t customer = 0; customer < 200; ++customer) {
    for (std::size_t i = 0; i < 4; ++i) {  // everybody goes through the alphabet
      purchases << "c" << customer << ",F-" << fruit[(customer + i) % fruit.size()][0] << ","
                << 1000 * customer + i << "\n";
    }
  }
}

int run() {
  const auto interactions = simgr::data::read_table(
      "purchases.csv", {.user = "customer", .item = "bought", .time = "when"});
  const auto counts = simgr::data::count(interactions);
  std::printf("%td customers, %td items, %td purchases\n", counts.users, counts.items,
              counts.interactions);

  std::map<std::string, std::string, std::less<>> names;
  auto products = simgr::data::CsvReader::open("products.csv").value_or_raise();
  const std::size_t code = products.column("code").value_or_raise(),
                    name = products.column("name").value_or_raise();
  while (products.next()) { names.emplace(products[code], products[name]); }
  if (products.failure()) {
    simgr::raise(*products.failure());
  }
  // The data folder of the tool. Items are numbered; their keys and names stand in items.jsonl.
  std::vector<simgr::data::ItemText> items;
  for (simgr::ItemId item = 0; item < interactions.items; ++item) {
    items.push_back({interactions.item_key(item), names[interactions.item_key(item)]});
  }
  std::filesystem::create_directories("shop");
  simgr::io::write_sequences("shop/sequences.tsv", interactions);
  simgr::io::write_items("shop/items.jsonl", items);

  simgr::baselines::SasRec model({.items = interactions.items, .keys = interactions.item_keys},
                                 {.encoder = {.width = 16, .layers = 1, .heads = 1}});
  model.fit(simgr::data::leave_one_out(interactions),
            {.epochs = 40, .batch = 32, .optimizer = {.rate = 1e-2}});
  for (const auto& [item, score] : model.recommend(model.item_keys().ids({"F-a", "F-b"}), 1)) {
    std::printf("after apple and banana: %s\n", names[model.item_keys().name(item)].c_str());
  }
  return 0;
}

}  // namespace

int main() {
  write_tables();
  try {
    return run();
  } catch (const simgr::Error& error) {  // file, line and column are in the sentence
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
