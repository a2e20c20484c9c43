// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <charconv>
#include <cmath>
#include <iostream>
#include <optional>

#include <simgr_cli/commands.hpp>
#include <simgr_cli/json_line.hpp>

#include <simgr/train/progress.hpp>

namespace simgr_cli {

namespace {

/// Reads items as people write them, by id or key: "3 17 9", "B000142FVW, 3", "green tea, soap".
class ItemReader {
public:
  /// @param keys  every word is a key; otherwise a number that is an id is one, with a note where it
  ///              is the key of another item too
  ItemReader(const ServedModel& model, bool keys)
      : known_(model.item_keys()), items_(model.catalogue().items), keys_(keys) {}

  /// Errors  simgr::DataError: a word that is no item
  std::vector<ItemId> read(const char* option, const std::string& text) const {
    std::vector<ItemId> list;
    for (const std::string& part : split(text, ',')) {
      if (const auto item = find(option, part)) {
        list.push_back(*item);
        continue;
      }
      for (const std::string& word : split(part, ' ')) {
        const auto item = find(option, word);
        if (!item) {
          throw simgr::DataError("\"" + word.substr(0, 60) + "\" is " + expected(),
                                 {.field = option});
        }
        list.push_back(*item);
      }
    }
    return list;
  }

private:
  /// The parts that are not blank, without blanks around them.
  static std::vector<std::string> split(const std::string& text, char separator) {
    std::vector<std::string> parts;
    for (std::size_t begin = 0; begin <= text.size();) {
      const std::size_t end = std::min(text.find(separator, begin), text.size());
      const std::string part = text.substr(begin, end - begin);
      if (const std::size_t first = part.find_first_not_of(' '); first != std::string::npos) {
        parts.push_back(part.substr(first, part.find_last_not_of(' ') + 1 - first));
      }
      begin = end + 1;
    }
    return parts;
  }
  std::optional<ItemId> find(const char* option, const std::string& word) const {
    const auto of_key = known_.find(word);
    ItemId id = -1;
    const auto number = std::from_chars(word.data(), word.data() + word.size(), id);
    if (keys_ || number.ec != std::errc{} || number.ptr != word.data() + word.size() || id < 0 ||
        id >= items_) {
      return of_key;
    }
    if (of_key && *of_key != id) {
      std::cerr << option << ": " << word << " is the id of one item and the key of another; read "
                << "as an id (--keys reads keys)\n";
    }
    return id;
  }
  std::string expected() const {
    const std::string range = "no item from 0 to " + std::to_string(items_ - 1);
    return keys_ ? "no key of an item" : range + (known_.empty() ? "" : " and no key of one");
  }

  const simgr::ItemKeys& known_;
  Index items_;
  bool keys_;
};

}  // namespace

void recommend(const RecommendCommand& options) {
  const OpenedModel opened = open_model(options.file);
  const ServedModel& model = *opened.model;
  const simgr::ItemKeys& keys = model.item_keys();
  const ItemReader items_of(model, options.keys);
  const std::vector<ItemId> history = items_of.read("--history", options.history);
  const std::vector<ItemId> allow = items_of.read("--allow", options.allow.value_or(""));
  const std::vector<ItemId> deny = items_of.read("--deny", options.deny);
  const simgr::RecommendOptions how{.seen = seen_named(options.seen), .deny = deny, .allow = allow};
  const bool allows_none = options.allow && allow.empty();  // to the library: every item
  const auto list =
      allows_none ? std::vector<simgr::Recommended>() : model.recommend(history, options.k, how);
  for (const simgr::Recommended& place : list) {
    if (!std::isfinite(place.score)) {
      throw simgr::DataError(
          "the score of item " + std::to_string(place.item) +
              " is no finite number: the model's weights are too large or damaged",
          {.file = options.file});
    }
  }
  if (const auto found = static_cast<Index>(list.size()); found < options.k && found > 0) {
    std::cerr
        << "--k: " << found << " of the " << options.k
        << " asked; the rest of the catalogue is seen, denied or not allowed, or a search did "
           "not reach it\n";
  }
  if (options.json) {
    std::string items;
    for (const simgr::Recommended& place : list) {
      JsonLine item;
      item.add("item", static_cast<Index>(place.item));
      if (!keys.empty()) {
        item.add("key", keys.name(place.item));
      }
      item.add("score", static_cast<double>(place.score));
      items += (items.empty() ? "" : ",") + item.text();
    }
    JsonLine line;
    line.add("model", opened.kind->name);
    line.add("seen", options.seen);
    line.add_raw("items", "[" + items + "]");
    std::cout << line.text() << "\n";
    return;
  }
  std::cout << opened.kind->name << ", " << seen_text(seen_named(options.seen))
            << (history.empty() ? "; no history: the most popular items" : "") << "\n";
  if (list.empty()) {
    std::cout << "there is no item left to list\n";
  }
  for (std::size_t place = 0; place < list.size(); ++place) {
    const ItemId item = list[place].item;
    std::cout << place + 1 << "\t" << item << "\t" << (keys.empty() ? "" : keys.name(item) + "\t")
              << simgr::train::detail::fixed(static_cast<double>(list[place].score), 4) << "\n";
  }
}

}  // namespace simgr_cli
