// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <new>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <simgr/io/input_file.hpp>
#include <simgr/io/mapped_file.hpp>
#include <simgr/io/safetensors_header.hpp>

namespace simgr::SIMGR_ABI::io {

/// Where the tensors of a file are while they are used.
enum class Residence {
  copied,  // in memory of their own
  mapped   // where the system keeps the file, see MappedFile
};

/// The tensors of a safetensors file, in memory that this object owns.
class Safetensors {
public:
  /// In the order of the data.
  std::span<const TensorView> tensors() const noexcept { return tensors_; }
  std::span<const MetadataEntry> metadata() const noexcept { return metadata_; }
  const std::string& file() const noexcept { return file_; }
  /// The JSON header as it stands in the file, padding included.
  std::string_view header_text() const noexcept { return header_text_; }

  /// The tensor of that name, or null.
  const TensorView* find(std::string_view name) const noexcept {
    const auto at =
        std::lower_bound(by_name_.begin(), by_name_.end(), name,
                         [&](std::size_t i, std::string_view n) { return tensors_[i].name < n; });
    return at != by_name_.end() && tensors_[*at].name == name ? &tensors_[*at] : nullptr;
  }

  /// The text stored in `__metadata__` under `key`, or null.
  const std::string* find_metadata(std::string_view key) const noexcept {
    for (const MetadataEntry& entry : metadata_) {
      if (entry.key == key) {
        return &entry.text;
      }
    }
    return nullptr;
  }

  /// The elements of one tensor, converted as convert() does, of any shape.
  ///
  /// Errors  DataError: no such tensor, or not convertible
  template <class T>
  Result<std::vector<T>> try_read(std::string_view name) const {
    const TensorView* tensor = find(name);
    if (tensor == nullptr) {
      return DataError("no such tensor in the file", {.file = file_, .field = std::string(name)});
    }
    std::vector<T> values(static_cast<std::size_t>(tensor->size()));
    if (Failure failure = convert(*tensor, values.data(), file_)) {
      return *std::move(failure);
    }
    return values;
  }

  /// The same, where the shape is known.
  ///
  /// Errors  also ShapeError with both shapes
  template <class T>
  Result<std::vector<T>> try_read(std::string_view name, std::span<const Index> shape) const {
    const TensorView* tensor = find(name);
    if (tensor != nullptr &&
        !std::equal(shape.begin(), shape.end(), tensor->shape.begin(), tensor->shape.end())) {
      return ShapeError("expected " + shape_text(shape) + ", file has " + shape_text(tensor->shape),
                        {.file = file_, .field = tensor->name});
    }
    return try_read<T>(name);
  }

  template <class T>
  std::vector<T> read(std::string_view name) const {
    return try_read<T>(name).value_or_raise();
  }
  template <class T>
  std::vector<T> read(std::string_view name, std::span<const Index> shape) const {
    return try_read<T>(name, shape).value_or_raise();
  }

  /// Gives memory of a mapped file back that is not read again soon; elsewhere nothing.
  void release(std::span<const std::byte> part) const noexcept { mapped_.release(part); }

private:
  friend Result<Safetensors> try_read_safetensors(const std::string& path, Residence residence);

  std::string file_, header_text_;
  std::unique_ptr<std::byte[]> data_;  // one of the two is empty
  MappedFile mapped_;
  std::vector<TensorView> tensors_;
  std::vector<std::size_t> by_name_;
  std::vector<MetadataEntry> metadata_;
};

/// Reads a safetensors file whole. Everything the format promises is checked before the data is
/// allocated: the header fits into the file, is JSON with unique names, and its tensors cover the
/// rest of the file without overlap, hole or trailing byte.
///
/// Cost    copied: memory of the file. mapped: of its header; its pages come as they are touched. And
///         while the header is parsed, a small multiple of it
/// Errors  IoError with the system's reason
///         DataError with file, byte or tensor, expected and found
inline Result<Safetensors> try_read_safetensors(const std::string& path,
                                                Residence residence = Residence::copied) {
  auto file = InputFile::try_open(path);
  if (!file) {
    return file.error();
  }
  const Index after_length = file->size() - 8;
  std::array<unsigned char, 8> prefix{};
  if (after_length < 2) {
    return DataError("expected a safetensors file, found only " + std::to_string(file->size()) +
                         " bytes",
                     {.file = path});
  }
  if (Failure failure = file->read(prefix.data(), 8)) {
    return *std::move(failure);
  }
  std::uint64_t header_bytes = 0;
  for (std::size_t i = 8; i-- > 0;) { header_bytes = header_bytes << 8 | prefix[i]; }
  const Index most = std::min(after_length, safetensors_header_limit);
  if (header_bytes > static_cast<std::uint64_t>(most)) {
    return DataError("the header claims " + std::to_string(header_bytes) + " bytes, at most " +
                         std::to_string(most) +
                         " are possible: the file is cut, or is no safetensors file",
                     {.file = path, .offset = 0});
  }

  Safetensors result;
  result.file_ = path;
  result.header_text_.resize(static_cast<std::size_t>(header_bytes));
  if (Failure failure = file->read(result.header_text_.data(), static_cast<Index>(header_bytes))) {
    return *std::move(failure);
  }
  auto header = try_parse_safetensors_header(result.header_text_, path);
  if (!header) {
    return header.error();
  }
  const Index data_bytes = after_length - static_cast<Index>(header_bytes);
  if (header->data_bytes != data_bytes) {
    return DataError("the header describes " + std::to_string(header->data_bytes) +
                         " bytes of data, the file has " + std::to_string(data_bytes) +
                         (header->data_bytes > data_bytes ? "; was it cut?" : "; what follows?"),
                     {.file = path});
  }
  const std::byte* data = nullptr;
  if (residence == Residence::mapped) {
    auto mapped = MappedFile::try_map(*file);
    if (!mapped) {
      return mapped.error();
    }
    result.mapped_ = std::move(*mapped);
    data = result.mapped_.bytes().data() + 8 + header_bytes;
  } else {
    result.data_.reset(new (std::nothrow) std::byte[static_cast<std::size_t>(data_bytes)]);
    if (result.data_ == nullptr) {
      return IoError("no memory for " + std::to_string(data_bytes) + " bytes", {.file = path});
    }
    if (Failure failure = file->read(result.data_.get(), data_bytes)) {
      return *std::move(failure);
    }
    data = result.data_.get();
  }

  result.metadata_ = std::move(header->metadata);
  result.tensors_.reserve(header->tensors.size());
  for (SafetensorsHeader::Tensor& tensor : header->tensors) {
    result.tensors_.push_back(
        {std::move(tensor.name),
         tensor.dtype,
         std::move(tensor.shape),
         {data + tensor.begin, static_cast<std::size_t>(tensor.end - tensor.begin)}});
  }
  result.by_name_.resize(result.tensors_.size());
  std::iota(result.by_name_.begin(), result.by_name_.end(), std::size_t{0});
  std::sort(result.by_name_.begin(), result.by_name_.end(), [&](std::size_t a, std::size_t b) {
    return result.tensors_[a].name < result.tensors_[b].name;
  });
  return result;
}

inline Safetensors read_safetensors(const std::string& path) {
  return try_read_safetensors(path).value_or_raise();
}

}  // namespace simgr::SIMGR_ABI::io
