// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <simgr/data/json.hpp>
#include <simgr/io/tensor.hpp>

// The file:
//
//   8 bytes   the length n of the header, little-endian
//   n bytes   JSON: {"__metadata__": {text: text},
//                    name: {"dtype": …, "shape": […], "data_offsets": [begin, end]}, …}
//   the rest  the data; every byte of it belongs to exactly one tensor

namespace simgr::SIMGR_ABI::io {

/// One entry of `__metadata__`.
struct MetadataEntry {
  std::string key, text;
};

/// The reference implementation's limit on the JSON header.
inline constexpr Index safetensors_header_limit = 100'000'000;

/// What the header says, checked against itself.
struct SafetensorsHeader {
  struct Tensor {
    std::string name;
    Dtype dtype = Dtype::f32;
    std::vector<Index> shape;
    Index begin = 0, end = 0;  // bytes, from the start of the data
  };
  std::vector<Tensor> tensors;  // in the order of the data
  std::vector<MetadataEntry> metadata;
  Index data_bytes = 0;
};

namespace detail {

/// Takes the events of the header one by one; what it refuses is a sentence.
class SafetensorsEvents {
public:
  using Kind = data::JsonEvent::Kind;

  explicit SafetensorsEvents(SafetensorsHeader& header) : header_(header) {}

  std::string operator()(const data::JsonEvent& event) {
    switch (event.depth) {
    case 0:
      return event.kind == Kind::begin_object || event.kind == Kind::end_object
                 ? ""
                 : "expected an object of tensors";
    case 1:
      return entry(event);
    case 2:
      return in_metadata_ ? metadata(event) : field(event);
    default:
      return element(event);
    }
  }

private:
  static constexpr std::size_t most_axes = 32;
  enum class FieldName { none, dtype, shape, offsets };

  std::string here(const std::string& sentence) const { return name_ + ": " + sentence; }

  std::string entry(const data::JsonEvent& event) {
    if (event.kind == Kind::key) {
      name_ = event.text;
      in_metadata_ = name_ == "__metadata__";
      return {};
    }
    if (event.kind == Kind::begin_object) {
      tensor_ = {};
      tensor_.name = in_metadata_ ? "" : name_;
      has_dtype_ = has_shape_ = false;
      offsets_ = 0;
      field_ = FieldName::none;
      return {};
    }
    if (event.kind == Kind::end_object) {
      return in_metadata_ ? "" : finish();
    }
    return here("expected an object");
  }

  std::string metadata(const data::JsonEvent& event) {
    if (event.kind == Kind::key) {
      header_.metadata.push_back({std::string(event.text), {}});
      return {};
    }
    if (event.kind != Kind::text) {
      return "__metadata__: " + header_.metadata.back().key + ": expected text";
    }
    header_.metadata.back().text = event.text;
    return {};
  }

  std::string field(const data::JsonEvent& event) {
    if (event.kind == Kind::key) {
      field_ = event.text == "dtype"          ? FieldName::dtype
               : event.text == "shape"        ? FieldName::shape
               : event.text == "data_offsets" ? FieldName::offsets
                                              : FieldName::none;
      return field_ == FieldName::none
                 ? here("expected dtype, shape and data_offsets, found another field")
                 : "";
    }
    if (field_ == FieldName::dtype && event.kind == Kind::text) {
      for (const DtypeFacts& facts : dtype_facts) {
        if (facts.name == event.text) {
          tensor_.dtype = facts.dtype;
          has_dtype_ = true;
          return {};
        }
      }
      return here("unknown dtype " + data::in_quotes(event.text));
    }
    const bool list = field_ == FieldName::shape || field_ == FieldName::offsets;
    if (list && event.kind == Kind::begin_array) {
      has_shape_ = has_shape_ || field_ == FieldName::shape;
      return {};
    }
    return list && event.kind == Kind::end_array ? "" : here("a field has the wrong type");
  }

  std::string element(const data::JsonEvent& event) {
    if (event.depth != 3 || event.kind != Kind::integer || event.integer < 0) {
      return here("expected whole numbers of 0 or more");
    }
    if (field_ == FieldName::shape) {
      tensor_.shape.push_back(static_cast<Index>(event.integer));
      return tensor_.shape.size() > most_axes ? here("more than 32 axes") : "";
    }
    if (offsets_ >= 2) {
      return here("data_offsets: expected two numbers");
    }
    (offsets_ == 0 ? tensor_.begin : tensor_.end) = static_cast<Index>(event.integer);
    ++offsets_;
    return {};
  }

  /// The shape must fit and equal the byte range; zero extents do not excuse an overflow.
  std::string finish() {
    if (!has_dtype_ || !has_shape_ || offsets_ != 2) {
      return here("expected dtype, shape and two data_offsets");
    }
    Index product = bytes_of(tensor_.dtype);
    bool none = false;
    for (const Index extent : tensor_.shape) {
      none = none || extent == 0;
      if (extent > 0 && product > std::numeric_limits<Index>::max() / extent) {
        return here("the shape " + shape_text(tensor_.shape) +
                    " has more bytes than 64 bits count");
      }
      product *= std::max(extent, Index{1});
    }
    const Index bytes = none ? 0 : product;
    if (tensor_.end < tensor_.begin || tensor_.end - tensor_.begin != bytes) {
      return here(std::string(name_of(tensor_.dtype)) + " " + shape_text(tensor_.shape) +
                  " needs " + std::to_string(bytes) + " bytes, data_offsets are [" +
                  std::to_string(tensor_.begin) + ", " + std::to_string(tensor_.end) + "]");
    }
    tensor_.shape.shrink_to_fit();
    header_.tensors.push_back(std::move(tensor_));
    return {};
  }

  SafetensorsHeader& header_;
  std::string name_;
  SafetensorsHeader::Tensor tensor_;
  FieldName field_ = FieldName::none;
  int offsets_ = 0;
  bool in_metadata_ = false, has_dtype_ = false, has_shape_ = false;
};

}  // namespace detail

/// Reads and checks the JSON header of a safetensors file; touches no data.
///
/// Errors  DataError: not JSON, duplicate names, unknown dtype or field, a shape that overflows or
///         disagrees with its offsets, and offsets with holes or overlaps
inline Result<SafetensorsHeader> try_parse_safetensors_header(std::string_view text,
                                                              const std::string& file = {}) {
  SafetensorsHeader header;
  detail::SafetensorsEvents events(header);
  if (text.empty() || text.front() != '{') {
    return DataError("expected a header that begins with {", {.file = file, .offset = 8});
  }
  if (Failure failure = data::read_json_events(text, events, {.file = file, .offset = 8})) {
    return *std::move(failure);
  }
  std::sort(header.tensors.begin(), header.tensors.end(), [](const auto& a, const auto& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  for (const SafetensorsHeader::Tensor& tensor : header.tensors) {
    if (tensor.begin != header.data_bytes) {
      return DataError("expected its data at byte " + std::to_string(header.data_bytes) +
                           " of the data, found data_offsets [" + std::to_string(tensor.begin) +
                           ", " + std::to_string(tensor.end) + "]: tensors must neither overlap " +
                           "nor leave holes",
                       {.file = file, .field = tensor.name});
    }
    header.data_bytes = tensor.end;
  }
  return header;
}

}  // namespace simgr::SIMGR_ABI::io
