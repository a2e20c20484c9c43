// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <charconv>
#include <iostream>
#include <unordered_map>

#include <simgr_cli/commands.hpp>
#include <simgr_cli/json_line.hpp>

#include <simgr/train/progress.hpp>

namespace simgr_cli {

namespace {

/// Items by dense id or by key, as people write them: "3 17 9", "B000142FVW,3".
class ItemNames {
public:
  explicit ItemNames(const simgr::Catalogue& catalogue) : catalogue_(catalogue) {
    for (std::size_t i = 0; i < catalogue.keys.size(); ++i) {
      of_key_.emplace(catalogue.keys[i], static_cast<ItemId>(i));
    }
  }

  /// Errors  simgr::DataError: a word that is no item
  std::vector<ItemId> read(const char* option, std::string text) const {
    std::replace(text.begin(), text.end(), ',', ' ');
    std::vector<ItemId> items;
    for (std::size_t at = text.find_first_not_of(' '); at != std::string::npos;
         at = text.find_first_not_of(' ', at)) {
      const std::size_t end = std::min(text.find(' ', at), text.size());
      items.push_back(one(option, text.substr(at, end - at)));
      at = end;
    }
    return items;
  }
  std::string key(ItemId item) const {
    return catalogue_.keys.empty() ? std::string()
                                   : catalogue_.keys[static_cast<std::size_t>(item)];
  }

private:
  ItemId one(const char* option, const std::string& word) const {
    ItemId item = -1;
    const auto end = std::from_chars(word.data(), word.data() + word.size(), item);
    if (end.ec == std::errc{} && end.ptr == word.data() + word.size() && item >= 0 &&
        item < catalogue_.items) {
      return item;
    }
    const auto found = of_key_.find(word);
    if (found == of_key_.end()) {
      throw simgr::DataError("\"" + word.substr(0, 60) + "\" is no item from 0 to " +
                                 std::to_string(catalogue_.items - 1) +
                                 (catalogue_.keys.empty() ? "" : " and no key of one"),
                             {.field = option});
    }
    return found->second;
  }

  const simgr::Catalogue& catalogue_;
  std::unordered_map<std::string, ItemId> of_key_;
};

}  // namespace

void recommend(const RecommendCommand& options) {
  const auto [kind, model] = open_model(options.file);
  const ItemNames names(model->catalogue());
  const std::vector<ItemId> history = names.read("--history", options.history);
  const std::vector<ItemId> allow = names.read("--allow", options.allow);
  const std::vector<ItemId> deny = names.read("--deny", options.deny);
  const auto list = model->recommend(
      history, options.k, {.seen = seen_named(options.seen), .deny = deny, .allow = allow});
  if (options.json) {
    std::string items;
    for (const simgr::Recommended& place : list) {
      JsonLine item;
      item.add("item", static_cast<Index>(place.item));
      if (const std::string key = names.key(place.item); !key.empty()) {
        item.add("key", key);
      }
      item.add("score", static_cast<double>(place.score));
      items += (items.empty() ? "" : ",") + item.text();
    }
    JsonLine line;
    line.add("model", kind->name);
    line.add("seen", options.seen);
    line.add_raw("items", "[" + items + "]");
    std::cout << line.text() << "\n";
    return;
  }
  const std::string seen = options.seen == "keep"   ? "seen items kept"
                           : options.seen == "zero" ? "scores of seen items set to 0"
                                                    : "seen items removed";
  std::cout << kind->name << ", " << seen
            << (history.empty() ? "; no history: the most popular items" : "") << "\n";
  for (std::size_t place = 0; place < list.size(); ++place) {
    const std::string key = names.key(list[place].item);
    std::cout << place + 1 << "\t" << list[place].item << "\t" << (key.empty() ? "" : key + "\t")
              << simgr::train::detail::fixed(static_cast<double>(list[place].score), 4) << "\n";
  }
}

}  // namespace simgr_cli
