// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <simgr/catalogue.hpp>
#include <simgr/core/owned_matrix.hpp>
#include <simgr/cpu/thread_pool.hpp>
#include <simgr/data/interactions.hpp>
#include <simgr/data/item_text.hpp>
#include <simgr/data/split.hpp>

namespace simgr_cli {

/// What a folder with `sequences.tsv[.gz]` and perhaps `items.jsonl[.gz]` says.
struct DataFolder {
  std::string path;
  simgr::data::Interactions interactions;
  simgr::data::Split split;
  std::vector<simgr::data::ItemText> texts;  // [items], or empty
  std::string fingerprint;                   // of the interactions

  simgr::Index items() const { return interactions.items; }
};

/// Reads a folder and prints on standard error how many users are too short to be evaluated.
///
/// @param items  size of the catalogue of a trained model; 0: as the folder says
///
/// Errors  simgr::Error: no folder, no sequences, or what the readers report
DataFolder read_folder(const std::string& path, simgr::Index items = 0);

/// Where the vectors and semantic ids of a catalogue come from.
struct IdSource {
  std::string text_vectors;  // .npy[.gz]; empty: the default of the folder
  std::string ids;           // .tsv; empty: residual k-means of the text vectors
  std::string item_vectors;  // a SASRec or .npy[.gz]; empty: none
};

/// What a model reads of the items.
struct Needs {
  bool ids = false, text_vectors = false, item_vectors = false;
  bool attributes = false;  // where there are any
};

/// A vector of each item's text: those of the file given, else `text_embeddings_minilm` of the
/// folder, else TF-IDF of the texts.
///
/// Errors  simgr::Error: none of the three, or a file that does not fit
simgr::OwnedMatrix<float> text_vectors_of(const DataFolder& folder, const std::string& file,
                                          simgr::cpu::ThreadPool& pool);

/// Keys, and what is needed besides.
///
/// Errors  UsageError: item vectors are given and nothing reads them
simgr::Catalogue catalogue_of(const DataFolder& folder, const IdSource& source, const Needs& needs,
                              simgr::cpu::ThreadPool& pool);

/// Where they come from, for people: what `catalogue_of` would take of the same arguments.
std::string origin_of_ids(const DataFolder& folder, const IdSource& source);

/// Semantic ids of the items: those of a file, or residual k-means of text vectors where `file` is
/// empty. Prints on standard error where items are so few that digits are hardly shared.
simgr::SemanticIds ids_of(const DataFolder& folder, const std::string& file,
                          simgr::Matrix<const float> text_vectors, simgr::cpu::ThreadPool& pool);

/// `path` or `path.gz`, whichever is there; empty: neither.
std::string plain_or_packed(const std::string& path);

}  // namespace simgr_cli
