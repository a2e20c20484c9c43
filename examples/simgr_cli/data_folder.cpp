// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <unordered_set>

#include <simgr_cli/data_folder.hpp>
#include <simgr_cli/item_vectors.hpp>
#include <simgr_cli/kind.hpp>

#include <simgr/data/items.hpp>
#include <simgr/data/npy.hpp>
#include <simgr/data/sequences.hpp>
#include <simgr/text/tfidf.hpp>

namespace simgr_cli {

using simgr::Index;

std::string plain_or_packed(const std::string& path) {
  for (const std::string& name : {path, path + ".gz"}) {
    std::error_code error;
    if (std::filesystem::exists(name, error)) {
      return name;
    }
  }
  return {};
}

DataFolder read_folder(const std::string& path, Index items) {
  DataFolder folder;
  folder.path = path;
  std::error_code error;
  if (!std::filesystem::is_directory(path, error)) {
    throw simgr::IoError("this is no folder; 'simgr import' makes one from a table",
                         {.file = path});
  }
  const std::string sequences = plain_or_packed(path + "/sequences.tsv");
  if (sequences.empty()) {
    throw simgr::IoError("the folder has neither sequences.tsv nor sequences.tsv.gz",
                         {.file = path});
  }
  if (const std::string texts = plain_or_packed(path + "/items.jsonl"); !texts.empty()) {
    folder.texts = simgr::data::read_items(texts);
  }
  const Index known = std::max(items, static_cast<Index>(folder.texts.size()));
  folder.interactions = simgr::data::read_sequences(sequences, {.items = known});
  try {
    folder.split = simgr::data::leave_one_out(folder.interactions);
  } catch (const simgr::DataError& nobody) {  // it knows of no file
    throw simgr::DataError(nobody.what(), {.file = sequences});
  }
  folder.fingerprint = simgr::data::fingerprint(folder.interactions);
  if (folder.split.too_short > 0) {
    std::fprintf(stderr, "%td of %td users have fewer than 3 items: trained on, never evaluated\n",
                 folder.split.too_short, folder.interactions.users());
  }
  return folder;
}

namespace {

/// The file that ids are made from where none is named; empty: there is none.
std::string vectors_of_folder(const DataFolder& folder) {
  return plain_or_packed(folder.path + "/text_embeddings_minilm/embeddings.npy");
}

/// Attributes of items, whatever numbers the file gives them, as 0, 1, …
simgr::Ragged<std::int32_t> attributes_of(const DataFolder& folder) {
  std::vector<std::int64_t> known;
  for (const simgr::data::ItemText& item : folder.texts) {
    known.insert(known.end(), item.attributes.begin(), item.attributes.end());
  }
  std::sort(known.begin(), known.end());
  known.erase(std::unique(known.begin(), known.end()), known.end());
  simgr::Ragged<std::int32_t> attributes;
  std::vector<std::int32_t> own;
  for (const simgr::data::ItemText& item : folder.texts) {
    own.clear();
    for (const std::int64_t attribute : item.attributes) {
      const auto place = std::lower_bound(known.begin(), known.end(), attribute) - known.begin();
      own.push_back(static_cast<std::int32_t>(place));
    }
    std::sort(own.begin(), own.end());
    attributes.push_back(own);
  }
  if (known.empty()) {
    std::fprintf(stderr, "no item of items.jsonl has attributes: nothing is learnt from them\n");
    return {};
  }
  return attributes;
}

}  // namespace

std::string origin_of_ids(const DataFolder& folder, const IdSource& source) {
  const auto name = [](const std::string& path) {
    return std::filesystem::path(path).filename().string();
  };
  if (!source.ids.empty()) {
    return "those of " + name(source.ids);
  }
  const std::string method = "residual k-means of ";
  if (!source.text_vectors.empty()) {
    return method + name(source.text_vectors);
  }
  return method +
         (vectors_of_folder(folder).empty() ? "the texts' TF-IDF" : "text_embeddings_minilm");
}

simgr::OwnedMatrix<float> text_vectors_of(const DataFolder& folder, const std::string& file,
                                          simgr::cpu::ThreadPool& pool) {
  const std::string path = file.empty() ? vectors_of_folder(folder) : file;
  if (!path.empty()) {
    auto vectors = simgr::data::read_npy(path, {.rows = folder.items()});
    std::fprintf(stderr, "text vectors: %s\n", path.c_str());
    return vectors;
  }
  if (static_cast<Index>(folder.texts.size()) == folder.items()) {
    std::vector<std::string> texts;
    for (const simgr::data::ItemText& item : folder.texts) {
      texts.push_back(simgr::data::item_text(item));
    }
    if (std::any_of(texts.begin(), texts.end(), [](const auto& text) { return !text.empty(); })) {
      std::fprintf(stderr, "text vectors: TF-IDF of the item texts\n");
      return simgr::text::text_vectors(texts, {}, pool);
    }
  }
  throw simgr::DataError(
      "there are no texts to make vectors or semantic ids from: give the items of items.jsonl a "
      "title or text, or give --text-vectors FILE, or --ids FILE where a model reads ids alone",
      {.file = folder.path});
}

simgr::Catalogue catalogue_of(const DataFolder& folder, const IdSource& source, const Needs& needs,
                              simgr::cpu::ThreadPool& pool) {
  if (!source.item_vectors.empty() && !needs.item_vectors) {
    throw UsageError(
        "--item-vectors: setrec and e4srec read vectors of items, no other model does");
  }
  simgr::Catalogue catalogue{.items = folder.items()};
  std::unordered_set<std::string> names;
  for (const simgr::data::ItemText& item : folder.texts) { names.insert(item.key); }
  names.erase("");
  const auto keys = static_cast<Index>(names.size());
  if (keys == folder.items() && folder.texts.size() == names.size()) {
    for (const simgr::data::ItemText& item : folder.texts) { catalogue.keys.push_back(item.key); }
  } else if (keys > 0) {
    std::fprintf(stderr,
                 "%s: keys are not kept, since not every item has one of its own: %td of them for "
                 "%td items\n",
                 folder.path.c_str(), keys, folder.items());
  }
  simgr::OwnedMatrix<float> vectors;
  if (needs.text_vectors || (needs.ids && source.ids.empty())) {
    vectors = text_vectors_of(folder, source.text_vectors, pool);
  }
  if (needs.ids) {
    catalogue.ids = ids_of(folder, source.ids, vectors, pool);
  }
  if (needs.text_vectors) {
    catalogue.text_vectors = std::move(vectors);
  }
  if (needs.attributes) {
    catalogue.attributes = attributes_of(folder);
  }
  if (!source.item_vectors.empty()) {
    catalogue.item_vectors = item_vectors_of(folder, source.item_vectors);
  }
  return catalogue;
}

}  // namespace simgr_cli
