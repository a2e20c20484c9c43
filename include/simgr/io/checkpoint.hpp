// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <simgr/core/parameter.hpp>
#include <simgr/io/crc32c.hpp>
#include <simgr/io/problem_list.hpp>
#include <simgr/io/safetensors.hpp>
#include <simgr/io/safetensors_writer.hpp>

// A checkpoint is one safetensors file, readable by every tool that reads those. What makes it a
// checkpoint stands in its metadata:
//
//   simgr.format         "1"
//   simgr.crc32c         CRC-32C of each tensor, in the order of the data, eight digits each
//   simgr.header_crc32c  CRC-32C of length and header, these eight digits taken as zeros
//
// so that a flipped bit anywhere, or a cut at any byte, is found when the file is read. Names with
// a slash belong to groups ("moment_0/encoder.items.table"); parameters have none.

namespace simgr::SIMGR_ABI::io {

namespace detail {

inline constexpr std::string_view checkpoint_format = "1";
inline constexpr std::string_view header_checksum_mark = "\"simgr.header_crc32c\":\"";
inline constexpr std::string_view no_checksum = "00000000";

/// The checksum of a header whose own field holds zeros.
inline std::uint32_t header_checksum(std::string_view header) {
  const auto size = static_cast<std::uint64_t>(header.size());
  return crc32c(header, crc32c(std::as_bytes(std::span(&size, 1))));
}

inline std::string in_group(std::string_view group, std::string_view name) {
  return group.empty() ? std::string(name) : std::string(group) + "/" + std::string(name);
}

}  // namespace detail

/// Collects what a checkpoint shall hold and writes it in one piece.
class CheckpointWriter {
public:
  /// Sets one text: "simgr.model", "simgr.config.encoder.width" …
  void set(std::string key, std::string text) { list_.set(std::move(key), std::move(text)); }

  /// Adds a tensor whose elements the caller keeps alive until write().
  template <class T>
  void add(std::string name, std::vector<Index> shape, std::span<const T> values) {
    list_.add(std::move(name), std::move(shape), values);
  }
  /// Adds a tensor of which a copy is kept.
  template <class T>
  void add_copy(std::string name, std::vector<Index> shape, std::span<const T> values) {
    list_.add_copy(std::move(name), std::move(shape), values);
  }
  /// Adds a list of byte strings as `name.bytes` (U8) and `name.offsets` (I64).
  void add_strings(const std::string& name, std::span<const std::string> strings) {
    std::string bytes;
    std::vector<std::int64_t> offsets{0};
    for (const std::string& text : strings) {
      bytes += text;
      offsets.push_back(static_cast<std::int64_t>(bytes.size()));
    }
    list_.add_copy(name + ".bytes", {static_cast<Index>(bytes.size())},
                   std::as_bytes(std::span(bytes.data(), bytes.size())));
    list_.add_copy(name + ".offsets", {static_cast<Index>(offsets.size())},
                   std::span<const std::int64_t>(offsets));
  }

  /// Sets texts of a host; those that begin with "simgr." are the library's.
  ///
  /// Errors  ConfigError: such a key; nothing is set
  Failure try_set_own(std::span<const MetadataEntry> texts) {
    for (const MetadataEntry& entry : texts) {
      if (entry.key.starts_with("simgr.")) {
        return ConfigError("metadata keys that begin with \"simgr.\" belong to the library",
                           {.field = entry.key});
      }
    }
    for (const MetadataEntry& entry : texts) { set(entry.key, entry.text); }
    return std::nullopt;
  }

  /// Writes the file: the old one or the new one is there at every moment (AtomicFile).
  /// Keep::previous leaves the replaced file beside it, for Checkpoint::try_read_newest.
  ///
  /// Errors  ShapeError or DataError of what was added, before the disk is touched; IoError
  template <class Files = PosixFiles>
  Failure try_write(const std::string& path, Keep keep = Keep::nothing, Files files = {}) const {
    if (list_.error()) {
      return list_.error();
    }
    const std::vector<TensorView> tensors = in_file_order(list_.tensors());
    std::vector<MetadataEntry> metadata(list_.metadata().begin(), list_.metadata().end());
    std::string checksums;
    for (const TensorView& tensor : tensors) { checksums += checksum_text(crc32c(tensor.bytes)); }
    metadata.push_back({"simgr.format", std::string(detail::checkpoint_format)});
    metadata.push_back({"simgr.crc32c", std::move(checksums)});
    metadata.push_back({"simgr.header_crc32c", std::string(detail::no_checksum)});
    auto header = try_format_safetensors_header(tensors, metadata, path);
    if (!header) {
      return header.error();
    }
    const std::string checksum = checksum_text(detail::header_checksum(*header));
    const std::size_t at = header->find(detail::header_checksum_mark);
    header->replace(at + detail::header_checksum_mark.size(), checksum.size(), checksum);

    auto file = AtomicFile<Files>::try_open(path, std::move(files));
    if (!file) {
      return file.error();
    }
    Failure failure = write_safetensors_bytes(*file, *header, tensors);
    return failure ? failure : file->commit(keep);
  }

  void write(const std::string& path, Keep keep = Keep::nothing) const {
    if (Failure failure = try_write(path, keep)) {
      raise(*failure);
    }
  }

private:
  TensorList list_;
};

/// A checkpoint, read whole and verified.
class Checkpoint {
public:
  /// Cost    memory of the file
  /// Errors  IoError of the system; DataError that names the tensor whose bytes changed, or says
  ///         that the header did, that the file was cut, or that it is no checkpoint
  static Result<Checkpoint> try_read(const std::string& path) {
    auto file = try_read_safetensors(path);
    if (!file) {
      return file.error();
    }
    Checkpoint checkpoint(std::move(*file));
    if (Failure failure = checkpoint.verify()) {
      return *std::move(failure);
    }
    return checkpoint;
  }
  static Checkpoint read(const std::string& path) { return try_read(path).value_or_raise(); }

  /// The checkpoint at `path`; where that is missing or damaged, the one Keep::previous left, and
  /// fallback_reason() says why. If both fail, the error is that of `path`.
  static Result<Checkpoint> try_read_newest(const std::string& path) {
    auto newest = try_read(path);
    if (!newest) {
      auto previous = try_read(previous_path(path));
      if (previous) {
        previous->fallback_reason_ = newest.error().what();
        return previous;
      }
    }
    return newest;
  }

  /// Empty, unless try_read_newest() had to take the previous file.
  const std::string& fallback_reason() const noexcept { return fallback_reason_; }

  const std::string& file() const noexcept { return file_.file(); }
  std::span<const TensorView> tensors() const noexcept { return file_.tensors(); }
  const TensorView* find(std::string_view name) const noexcept { return file_.find(name); }

  /// All texts, in the order in which they were set, and the three of the format.
  std::span<const MetadataEntry> texts() const noexcept { return file_.metadata(); }
  /// The text set under `key`, or null.
  const std::string* find_text(std::string_view key) const noexcept {
    return file_.find_metadata(key);
  }
  Result<std::string> try_text(std::string_view key) const {
    if (const std::string* text = find_text(key)) {
      return *text;
    }
    return DataError("the checkpoint does not say it",
                     {.file = file_.file(), .field = std::string(key)});
  }
  std::string text(std::string_view key) const { return try_text(key).value_or_raise(); }

  /// Elements of a tensor as T; see Safetensors.
  template <class T>
  Result<std::vector<T>> try_read(std::string_view name) const {
    return file_.try_read<T>(name);
  }
  template <class T>
  Result<std::vector<T>> try_read(std::string_view name, std::span<const Index> shape) const {
    return file_.try_read<T>(name, shape);
  }
  template <class T>
  std::vector<T> read(std::string_view name) const {
    return file_.read<T>(name);
  }
  template <class T>
  std::vector<T> read(std::string_view name, std::span<const Index> shape) const {
    return file_.read<T>(name, shape);
  }

  /// The list that add_strings() wrote.
  /// Errors  DataError: no such list, or offsets that do not rise to the end of the bytes
  Result<std::vector<std::string>> try_strings(const std::string& name) const {
    const auto offsets = file_.try_read<std::int64_t>(name + ".offsets");
    const auto bytes = file_.try_read<std::uint8_t>(name + ".bytes");
    if (!offsets || !bytes) {
      return offsets ? bytes.error() : offsets.error();
    }
    const auto& ends = offsets.value();
    const auto total = static_cast<std::int64_t>(bytes.value().size());
    if (ends.empty() || ends.front() != 0 || ends.back() != total ||
        !std::is_sorted(ends.begin(), ends.end())) {
      return DataError("expected offsets that rise from 0 to " + std::to_string(total),
                       {.file = file_.file(), .field = name + ".offsets"});
    }
    std::vector<std::string> strings;
    strings.reserve(ends.size() - 1);
    for (std::size_t i = 1; i < ends.size(); ++i) {
      strings.emplace_back(bytes.value().begin() + ends[i - 1], bytes.value().begin() + ends[i]);
    }
    return strings;
  }
  std::vector<std::string> strings(const std::string& name) const {
    return try_strings(name).value_or_raise();
  }

private:
  explicit Checkpoint(Safetensors file) : file_(std::move(file)) {}

  Failure verify() const {
    std::string header(file_.header_text());
    const std::size_t at = header.find(detail::header_checksum_mark);
    const std::string* format = file_.find_metadata("simgr.format");
    const std::string* checksums = file_.find_metadata("simgr.crc32c");
    if (at == std::string::npos || format == nullptr || checksums == nullptr) {
      return DataError("not a simgr checkpoint, or its header is damaged", {.file = file_.file()});
    }
    const std::size_t digits = at + detail::header_checksum_mark.size();
    const std::string stored = header.substr(digits, detail::no_checksum.size());
    header.replace(digits, stored.size(), detail::no_checksum.substr(0, stored.size()));
    const std::string found = checksum_text(detail::header_checksum(header));
    if (stored != found) {
      return DataError("the header is damaged: its checksum says " + stored + ", its bytes give " +
                           found,
                       {.file = file_.file()});
    }
    if (*format != detail::checkpoint_format) {
      return DataError("expected a checkpoint of format " + std::string(detail::checkpoint_format) +
                           ", found format " + *format,
                       {.file = file_.file()});
    }
    const auto tensors = file_.tensors();
    if (checksums->size() != 8 * tensors.size()) {
      return DataError("expected " + std::to_string(tensors.size()) + " checksums",
                       {.file = file_.file(), .field = "simgr.crc32c"});
    }
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      const std::string says = checksums->substr(8 * i, 8);
      const std::string gives = checksum_text(crc32c(tensors[i].bytes));
      if (says != gives) {
        return DataError("the tensor is damaged: its checksum says " + says + ", its bytes give " +
                             gives,
                         {.file = file_.file(), .field = tensors[i].name});
      }
    }
    return std::nullopt;
  }

  Safetensors file_;
  std::string fallback_reason_;
};

/// Which tensors of a layout a group has: all, as weights, or those that are trained, as gradients and
/// all that follows from them.
enum class Covers { all, trained };

namespace detail {

inline std::span<const TensorEntry> covered(const ParameterTable& table, Covers covers) noexcept {
  return covers == Covers::all ? std::span<const TensorEntry>(table.tensors)
                               : table.trained_tensors();
}
inline Dtype dtype_of_stored(const TensorEntry& tensor) noexcept {
  return tensor.storage == Storage::full ? Dtype::f32 : Dtype::bf16;
}
inline bool is_of_layout(std::span<const float> block, const ParameterTable& table,
                         Covers covers) noexcept {
  return static_cast<Index>(block.size()) >=
         (covers == Covers::all ? table.block_size : table.trained_size);
}

}  // namespace detail

/// Adds the tensors of a flat block (parameter.hpp) under their own names, in `group` if there is
/// one. The block must live until the checkpoint is written.
inline void add_parameters(CheckpointWriter& writer, const ParameterTable& table,
                           std::span<const float> block, std::string_view group = {},
                           Covers covers = Covers::all) {
  SIMGR_ASSERT(detail::is_of_layout(block, table, covers), "a block of another layout");
  for (const TensorEntry& tensor : detail::covered(table, covers)) {
    const auto size = static_cast<std::size_t>(tensor.size);
    const float* const values = block.data() + tensor.offset;
    const std::string name = detail::in_group(group, tensor.name);
    if (tensor.storage == Storage::full) {
      writer.add(name, tensor.shape, std::span(values, size));
    } else {
      writer.add(name, tensor.shape, std::span(reinterpret_cast<const BFloat16*>(values), size));
    }
  }
}

/// Compares the tensors of `group` with a layout, without memory for the values. Where it covers the
/// trained ones alone, frozen ones may be there and are ignored: older files have them.
///
/// Errors  one DataError that lists every tensor of another shape or type, every missing one and
///         every one too many; else the first element that is not finite
inline Failure match_parameters(const Checkpoint& checkpoint, const ParameterTable& table,
                                std::string_view group = {}, Covers covers = Covers::all) {
  const std::span<const TensorEntry> covered = detail::covered(table, covers);
  ProblemList problems;
  std::vector<std::string> expected;
  for (const TensorEntry& tensor : table.tensors) {
    expected.push_back(detail::in_group(group, tensor.name));
  }
  for (std::size_t i = 0; i < covered.size(); ++i) {
    const TensorEntry& tensor = covered[i];
    const std::string& name = expected[i];
    const TensorView* stored = checkpoint.find(name);
    if (stored == nullptr) {
      problems.add(name, "expected " + shape_text(tensor.shape) + ", file has none");
    } else if (stored->shape != tensor.shape) {
      problems.add(name, "expected " + shape_text(tensor.shape) + ", file has " +
                             shape_text(stored->shape));
    } else if (stored->dtype != detail::dtype_of_stored(tensor)) {
      problems.add(name, "expected " + std::string(name_of(detail::dtype_of_stored(tensor))) +
                             ", file has " + std::string(name_of(stored->dtype)));
    }
  }
  std::sort(expected.begin(), expected.end());
  const std::string prefix = detail::in_group(group, "");
  for (const TensorView& tensor : checkpoint.tensors()) {
    const bool inside = tensor.name.starts_with(prefix) &&
                        tensor.name.find('/', prefix.size()) == std::string::npos;
    if (inside && !std::binary_search(expected.begin(), expected.end(), tensor.name)) {
      problems.add(tensor.name, "not expected, file has " + shape_text(tensor.shape));
    }
  }
  if (Failure failure = problems.error(checkpoint.file(), "not match the model")) {
    return failure;
  }
  for (const TensorEntry& tensor : covered) {
    const TensorView* stored = checkpoint.find(detail::in_group(group, tensor.name));
    if (const Index at = first_not_finite(*stored); at >= 0) {
      return DataError("element " + std::to_string(at) + " is not a finite number",
                       {.file = checkpoint.file(), .field = stored->name});
    }
  }
  return std::nullopt;
}

/// Fills a flat block from the tensors of `group`: all of them, or none.
///
/// Errors  those of match_parameters; the block is as it was
inline Failure try_load_parameters(const Checkpoint& checkpoint, const ParameterTable& table,
                                   std::span<float> block, std::string_view group = {},
                                   Covers covers = Covers::all) {
  SIMGR_ASSERT(detail::is_of_layout(block, table, covers), "a block of another layout");
  if (Failure failure = match_parameters(checkpoint, table, group, covers)) {
    return failure;
  }
  for (const TensorEntry& tensor : detail::covered(table, covers)) {
    const TensorView* stored = checkpoint.find(detail::in_group(group, tensor.name));
    if (!stored->bytes.empty()) {
      std::memcpy(block.data() + tensor.offset, stored->bytes.data(), stored->bytes.size());
    }
  }
  return std::nullopt;
}

inline void load_parameters(const Checkpoint& checkpoint, const ParameterTable& table,
                            std::span<float> block, std::string_view group = {},
                            Covers covers = Covers::all) {
  if (Failure failure = try_load_parameters(checkpoint, table, block, group, covers)) {
    raise(*failure);
  }
}

}  // namespace simgr::SIMGR_ABI::io
