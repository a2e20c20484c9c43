// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <simgr_cli/commands.hpp>
#include <simgr_cli/item_vectors.hpp>
#include <simgr_cli/kind.hpp>

#include <simgr/data/npy.hpp>
#include <simgr/io/checkpoint.hpp>

namespace simgr_cli {

std::vector<bool> trained_items(const DataFolder& folder) {
  std::vector<bool> occurs(static_cast<std::size_t>(folder.items()));
  for (const ItemId item : folder.split.train.values) {
    occurs[static_cast<std::size_t>(item)] = true;
  }
  return occurs;
}

simgr::OwnedMatrix<float> item_vectors_of(const DataFolder& folder, const std::string& path,
                                          Index width) {
  if (path.ends_with(".npy") || path.ends_with(".npy.gz")) {
    return simgr::data::read_npy(path, {.rows = folder.items(), .cols = width});
  }
  const auto file = simgr::io::Checkpoint::read(path);
  const char* const name = "encoder.embedding.items";
  const simgr::io::TensorView* found = file.find(name);
  if (found == nullptr || found->shape.size() != 2) {
    throw simgr::DataError("expected the model of a SASRec, or .npy; there is no table of items",
                           {.file = path, .field = name});
  }
  const std::string* fitted_on = file.find_text(data_key);
  require_same_data(folder, found->shape[0], fitted_on ? *fitted_on : std::string(), path);
  simgr::OwnedMatrix<float> vectors(found->shape[0], width > 0 ? width : found->shape[1]);
  vectors.values = file.read<float>(name, std::vector<Index>{vectors.rows, vectors.cols});
  const std::vector<bool> trained = trained_items(folder);
  for (Index item = 0; item < vectors.rows; ++item) {
    if (!trained[static_cast<std::size_t>(item)]) {
      std::fill_n(vectors.view().row(item).begin(), vectors.cols, 0.0f);
    }
  }
  return vectors;
}

}  // namespace simgr_cli
