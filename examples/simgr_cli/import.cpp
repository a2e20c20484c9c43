// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <string>
#include <vector>

#include <simgr_cli/commands.hpp>

#include <simgr/data/tables.hpp>
#include <simgr/io/data_writer.hpp>

namespace simgr_cli {

void import_table(const ImportOptions& options) {
  const std::string sequences = options.out + "/sequences.tsv",
                    items = options.out + "/items.jsonl";
  for (const std::string& path : {sequences, items}) {
    if (!plain_or_packed(path).empty()) {
      throw simgr::IoError("this is there already; it is not replaced: give another --out, or move "
                           "it away",
                           {.file = plain_or_packed(path)});
    }
  }
  const auto table = simgr::data::read_table(
      options.table, {.user = options.user, .item = options.item, .time = options.time});
  make_folder(options.out);
  simgr::io::write_sequences(sequences, table);
  std::vector<simgr::data::ItemText> keys;
  for (ItemId item = 0; item < table.items; ++item) {
    keys.push_back({.key = table.item_key(item)});
  }
  simgr::io::write_items(items, keys);
  const simgr::data::Counts counts = simgr::data::count(table);
  std::printf("%td users, %td items, %td interactions, %s\nsaved %s and %s: add a \"title\" to the "
              "items for models that need semantic ids\n",
              counts.users, counts.items, counts.interactions,
              table.timed() ? "sorted by time" : "without times, in the order of the rows",
              sequences.c_str(), items.c_str());
}

}  // namespace simgr_cli
