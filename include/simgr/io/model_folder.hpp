// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <simgr/data/json.hpp>
#include <simgr/io/input_file.hpp>
#include <simgr/io/problem_list.hpp>
#include <simgr/io/safetensors.hpp>

// A published checkpoint: model.safetensors; or several files, and model.safetensors.index.json that
// says which tensor is where:
//
//   {"metadata": {…}, "weight_map": {"model.norm.weight": "model-00002-of-00002.safetensors", …}}

namespace simgr::SIMGR_ABI::io {

/// Which tensor is in which file, as an index says it.
struct ShardIndex {
  struct Tensor {
    std::string name;
    std::size_t shard;  // place in `shards`
  };
  std::vector<std::string> shards;  // names of files beside the index, sorted
  std::vector<Tensor> tensors;      // in the order of the index
};

namespace detail {

/// A file of the same folder: nothing that leads out of it.
inline bool is_shard_name(std::string_view name) {
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return static_cast<unsigned char>(c) >= 0x20 && c != '/' && c != '\\' && c != 0x7f;
  });
  constexpr std::string_view extension = ".safetensors";
  return plain && name.ends_with(extension) && name.size() > extension.size() && name.size() <= 255;
}

}  // namespace detail

/// Reads the text of a model.safetensors.index.json.
///
/// Errors  DataError with file, byte and tensor: not JSON, no weight_map, a name twice, a value that
///         is no name of a .safetensors file in the same folder
inline Result<ShardIndex> try_parse_shard_index(std::string_view text,
                                                const std::string& file = {}) {
  const auto root = data::try_parse_json(text, {.file = file}, {.depth = 8, .values = 1 << 22});
  if (!root) {
    return root.error();
  }
  const data::JsonValue* map = root.value().find("weight_map");
  const data::JsonValue::Object* members = map != nullptr ? map->as_object() : nullptr;
  if (members == nullptr || members->empty()) {
    return DataError("expected an object that names a file for every tensor",
                     {.file = file, .field = "weight_map"});
  }
  ShardIndex index;
  for (const data::JsonMember& member : *members) {
    const std::string* shard = member.value.as_text();
    if (shard == nullptr || !detail::is_shard_name(*shard)) {
      return DataError(
          "expected the name of a .safetensors file in the same folder, found " +
              (shard != nullptr ? data::in_quotes(*shard) : std::string(member.value.kind_name())),
          {.file = file,
           .offset = member.value.offset(),
           .field = data::printable(member.key, 120)});
    }
    index.shards.push_back(*shard);
  }
  std::sort(index.shards.begin(), index.shards.end());
  index.shards.erase(std::unique(index.shards.begin(), index.shards.end()), index.shards.end());
  index.tensors.reserve(members->size());
  for (const data::JsonMember& member : *members) {
    const auto at =
        std::lower_bound(index.shards.begin(), index.shards.end(), *member.value.as_text());
    index.tensors.push_back({member.key, static_cast<std::size_t>(at - index.shards.begin())});
  }
  return index;
}

/// The weights of a checkpoint folder, whatever files they are in.
class ModelFolder {
public:
  /// A tensor and the file that it is in.
  struct Tensor {
    const TensorView* view;
    std::size_t file;  // place in files()
  };

  /// Opens a folder, or one file of it: its index, or a .safetensors file. In a folder
  /// model.safetensors comes before an index. Links are followed, as caches of downloads are made of
  /// them.
  ///
  /// Cost    see try_read_safetensors
  /// Errors  IoError of the system, also for a file of the index that is missing; those of the index
  ///         and of each file; one DataError that lists every tensor that is not where the index
  ///         says, and every one that is in two files
  static Result<ModelFolder> try_open(const std::string& path,
                                      Residence residence = Residence::mapped) {
    namespace fs = std::filesystem;
    std::error_code error;
    const bool whole = fs::is_directory(path, error);
    ModelFolder folder;
    folder.folder_ = whole ? path : fs::path(path).parent_path().string();
    std::string weights = path;
    if (whole) {
      const std::string single = folder.beside(single_name), index = folder.beside(index_name);
      if (!fs::exists(single, error) && !fs::exists(index, error)) {
        const bool pickled = fs::exists(folder.beside("pytorch_model.bin"), error) ||
                             fs::exists(folder.beside("pytorch_model.bin.index.json"), error);
        return DataError(std::string("expected ") + single_name + " or " + index_name +
                             (pickled ? ", found pytorch_model.bin, which is not read: such files "
                                        "run code; convert it to safetensors"
                                      : ", found neither"),
                         {.file = path});
      }
      weights = fs::exists(single, error) ? single : index;
    }
    Failure failure = weights.ends_with(".index.json") ? folder.read_shards(weights, residence)
                                                       : folder.read_file(weights, residence);
    if (failure) {
      return *std::move(failure);
    }
    return folder;
  }
  static ModelFolder open(const std::string& path, Residence residence = Residence::mapped) {
    return try_open(path, residence).value_or_raise();
  }

  /// The path of a file in the folder: "config.json".
  std::string beside(std::string_view name) const {
    return (std::filesystem::path(folder_) / name).string();
  }
  std::span<const Safetensors> files() const noexcept { return files_; }
  /// The index that was read, or empty: there is one file.
  const std::string& index() const noexcept { return index_; }
  /// What messages call the checkpoint: the index or the one file.
  const std::string& name() const noexcept { return index_.empty() ? files_[0].file() : index_; }

  /// By name.
  std::span<const Tensor> tensors() const noexcept { return tensors_; }
  /// The tensor of that name, or null.
  const TensorView* find(std::string_view name) const noexcept {
    const auto at = std::lower_bound(
        tensors_.begin(), tensors_.end(), name,
        [](const Tensor& tensor, std::string_view n) { return tensor.view->name < n; });
    return at != tensors_.end() && at->view->name == name ? at->view : nullptr;
  }

  /// Gives memory of mapped files back that is not read again soon.
  void release(std::span<const std::byte> part) const noexcept {
    for (const Safetensors& file : files_) { file.release(part); }
  }

  static constexpr const char* single_name = "model.safetensors";
  static constexpr const char* index_name = "model.safetensors.index.json";

private:
  Failure read_file(const std::string& path, Residence residence) {
    auto file = try_read_safetensors(path, residence);
    if (!file) {
      return file.error();
    }
    files_.push_back(std::move(*file));
    list_tensors();
    return std::nullopt;
  }

  Failure read_shards(const std::string& path, Residence residence) {
    const auto text = try_read_text(path, Index{64} << 20);
    const auto index = text ? try_parse_shard_index(text.value(), path) : text.error();
    if (!index) {
      return index.error();
    }
    index_ = path;
    for (const std::string& shard : index.value().shards) {
      auto file = try_read_safetensors(beside(shard), residence);
      if (!file) {
        return file.error();
      }
      files_.push_back(std::move(*file));
    }
    list_tensors();
    ProblemList problems;
    for (const ShardIndex::Tensor& tensor : index.value().tensors) {
      if (files_[tensor.shard].find(tensor.name) == nullptr) {
        problems.add(
            data::printable(tensor.name, 120),
            "expected in " + index.value().shards[tensor.shard] + ", " +
                (find(tensor.name) != nullptr ? "found in another file" : "found nowhere"));
      }
    }
    for (std::size_t i = 1; i < tensors_.size(); ++i) {
      if (tensors_[i].view->name == tensors_[i - 1].view->name) {
        problems.add(data::printable(tensors_[i].view->name, 120),
                     "found in " + index.value().shards[tensors_[i - 1].file] + " and in " +
                         index.value().shards[tensors_[i].file]);
      }
    }
    return problems.error(path, "not stand in one file, the one that is named");
  }

  void list_tensors() {
    for (std::size_t file = 0; file < files_.size(); ++file) {
      for (const TensorView& tensor : files_[file].tensors()) {
        tensors_.push_back({&tensor, file});
      }
    }
    std::stable_sort(tensors_.begin(), tensors_.end(),
                     [](const Tensor& a, const Tensor& b) { return a.view->name < b.view->name; });
  }

  std::string folder_, index_;
  std::vector<Safetensors> files_;
  std::vector<Tensor> tensors_;
};

}  // namespace simgr::SIMGR_ABI::io
