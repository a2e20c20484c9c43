// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <simgr/data/json.hpp>
#include <simgr/io/atomic_file.hpp>
#include <simgr/io/safetensors_header.hpp>

namespace simgr::SIMGR_ABI::io {

/// Tensors and texts on their way into a file. What does not fit (a shape of another size) is kept
/// as the first error and reported when the file is written.
class TensorList {
public:
  /// Adds a tensor whose elements the caller keeps alive until the file is written.
  template <class T>
  void add(std::string name, std::vector<Index> shape, std::span<const T> values) {
    append(std::move(name), dtype_of<T>(), std::move(shape), std::as_bytes(values));
  }
  /// Adds a tensor of which a copy is kept.
  template <class T>
  void add_copy(std::string name, std::vector<Index> shape, std::span<const T> values) {
    const auto bytes = std::as_bytes(values);
    copies_.emplace_back(bytes.begin(), bytes.end());
    append(std::move(name), dtype_of<T>(), std::move(shape), copies_.back());
  }
  /// Adds floats rounded to Dtype::f16 or Dtype::bf16, nearest, ties to even.
  void add_rounded(std::string name, Dtype dtype, std::vector<Index> shape,
                   std::span<const float> values) {
    SIMGR_ASSERT(dtype == Dtype::f16 || dtype == Dtype::bf16, "add_rounded writes F16 or BF16");
    std::vector<std::byte>& bytes = copies_.emplace_back(values.size() * 2);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const std::uint16_t bits =
          dtype == Dtype::f16 ? f16_from_float(values[i]) : bf16_from_float(values[i]);
      std::memcpy(bytes.data() + 2 * i, &bits, 2);
    }
    append(std::move(name), dtype, std::move(shape), bytes);
  }

  /// Adds a tensor of a file as it stands; the file stays open until this one is written.
  void add_stored(const TensorView& tensor) {
    append(tensor.name, tensor.dtype, tensor.shape, tensor.bytes);
  }

  /// Sets one text of `__metadata__`, replacing an older one of that key.
  void set(std::string key, std::string text) {
    for (MetadataEntry& entry : metadata_) {
      if (entry.key == key) {
        entry.text = std::move(text);
        return;
      }
    }
    metadata_.push_back({std::move(key), std::move(text)});
  }

  std::span<const TensorView> tensors() const noexcept { return tensors_; }
  std::span<const MetadataEntry> metadata() const noexcept { return metadata_; }
  const Failure& error() const noexcept { return error_; }

private:
  void append(std::string name, Dtype dtype, std::vector<Index> shape,
              std::span<const std::byte> bytes) {
    Index elements = 1;
    for (const Index extent : shape) { elements *= extent; }
    if (elements * bytes_of(dtype) != static_cast<Index>(bytes.size()) && !error_) {
      error_ = ShapeError("the shape " + shape_text(shape) + " does not hold " +
                              std::to_string(static_cast<Index>(bytes.size()) / bytes_of(dtype)) +
                              " elements",
                          {.field = name});
    }
    tensors_.push_back({std::move(name), dtype, std::move(shape), bytes});
  }

  std::vector<TensorView> tensors_;
  std::vector<MetadataEntry> metadata_;
  std::deque<std::vector<std::byte>> copies_;  // a deque: the bytes stay where they are
  Failure error_;
};

/// The JSON header of a file with these tensors in this order, padded with blanks so that the data
/// begins at a multiple of eight.
///
/// Errors  DataError: a name twice, a reserved name, text that is not UTF-8
inline Result<std::string> try_format_safetensors_header(std::span<const TensorView> tensors,
                                                         std::span<const MetadataEntry> metadata,
                                                         const std::string& file = {}) {
  std::string text = "{";
  if (!metadata.empty()) {
    text += "\"__metadata__\":{";
    for (const MetadataEntry& entry : metadata) {
      text += text.back() == '{' ? "" : ",";
      text += data::json_quote(entry.key) + ":" + data::json_quote(entry.text);
    }
    text += "}";
  }
  Index begin = 0;
  for (const TensorView& tensor : tensors) {
    const Index end = begin + static_cast<Index>(tensor.bytes.size());
    text += text.size() > 1 ? "," : "";
    text += data::json_quote(tensor.name) + ":{\"dtype\":\"" + std::string(name_of(tensor.dtype)) +
            "\",\"shape\":[";
    for (std::size_t axis = 0; axis < tensor.shape.size(); ++axis) {
      text += axis > 0 ? "," : "";
      text += std::to_string(tensor.shape[axis]);
    }
    text += "],\"data_offsets\":[" + std::to_string(begin) + "," + std::to_string(end) + "]}";
    begin = end;
  }
  text += "}";
  text.append((8 - text.size() % 8) % 8, ' ');
  // One set of rules for both ways.
  const auto read_back = try_parse_safetensors_header(text, file);
  if (!read_back) {
    return read_back.error();
  }
  if (read_back.value().tensors.size() != tensors.size()) {
    return DataError("__metadata__ cannot be the name of a tensor", {.file = file});
  }
  return text;
}

/// Tensors in the order in which files hold them: the widest elements first, so that every tensor
/// is aligned to its element; otherwise as they were added.
inline std::vector<TensorView> in_file_order(std::span<const TensorView> tensors) {
  std::vector<TensorView> ordered(tensors.begin(), tensors.end());
  std::stable_sort(ordered.begin(), ordered.end(), [](const TensorView& a, const TensorView& b) {
    return bytes_of(a.dtype) > bytes_of(b.dtype);
  });
  return ordered;
}

/// Writes length, header and data: the bytes of a safetensors file.
template <class Files>
Failure write_safetensors_bytes(AtomicFile<Files>& file, std::string_view header,
                                std::span<const TensorView> tensors) {
  char length[8];
  for (std::size_t i = 0; i < 8; ++i) {
    length[i] = static_cast<char>(static_cast<unsigned char>(header.size() >> (8 * i)));
  }
  Failure failure = file.write(std::string_view(length, 8));
  if (!failure) {
    failure = file.write(header);
  }
  for (std::size_t i = 0; i < tensors.size() && !failure; ++i) {
    failure = file.write(tensors[i].bytes);
  }
  return failure;
}

/// Writes a safetensors file that replaces `path` whole or not at all (AtomicFile).
///
/// Errors  what TensorList kept; DataError of the header; IoError of the system
template <class Files = PosixFiles>
Failure try_write_safetensors(const std::string& path, const TensorList& list,
                              Keep keep = Keep::nothing, Files files = {}) {
  if (list.error()) {
    return list.error();
  }
  const std::vector<TensorView> tensors = in_file_order(list.tensors());
  const auto header = try_format_safetensors_header(tensors, list.metadata(), path);
  if (!header) {
    return header.error();
  }
  auto file = AtomicFile<Files>::try_open(path, std::move(files));
  if (!file) {
    return file.error();
  }
  Failure failure = write_safetensors_bytes(*file, header.value(), tensors);
  return failure ? failure : file->commit(keep);
}

inline void write_safetensors(const std::string& path, const TensorList& list,
                              Keep keep = Keep::nothing) {
  if (Failure failure = try_write_safetensors(path, list, keep)) {
    raise(*failure);
  }
}

}  // namespace simgr::SIMGR_ABI::io
