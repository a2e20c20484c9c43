// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <simgr/core/error.hpp>
#include <simgr/core/float_formats.hpp>
#include <simgr/core/owned_matrix.hpp>
#include <simgr/data/byte_source.hpp>
#include <simgr/data/decimal.hpp>
#include <simgr/data/utf8.hpp>

namespace simgr::SIMGR_ABI::data {

/// What the reader of an .npy file insists on; 0: any.
struct NpyOptions {
  Index rows = 0;
  Index cols = 0;
  SourceLimits limits{};
};

namespace detail {

/// The header of an .npy file: type, order and shape, each believed only after its bytes are there.
struct NpyHeader {
  int element_bytes = 0;  // 2, 4 or 8; all little-endian floats
  bool fortran = false;
  Index rows = 0, cols = 0;  // one axis is [rows, 1]
};

/// Parses the Python dictionary of the header, whose grammar here is only what numpy writes.
class NpyDictionary {
public:
  explicit NpyDictionary(std::string_view text) : text_(text) {}

  /// A sentence on what is wrong, or empty.
  std::string parse(NpyHeader& header) {
    bool type = false, order = false, shape = false;
    if (!take("{")) {
      return "expected {";
    }
    while (!take("}")) {
      std::string_view key;
      if (!quoted(key) || !take(":")) {
        return "expected a quoted name and :";
      }
      bool* seen = key == "descr" ? &type : key == "fortran_order" ? &order : &shape;
      if ((seen == &shape && key != "shape") || *seen) {
        return "unexpected or repeated name '" + printable(key) + "'";
      }
      *seen = true;
      std::string sentence = seen == &type    ? parse_type(header)
                             : seen == &order ? parse_order(header)
                                              : parse_shape(header);
      if (!sentence.empty()) {
        return sentence;
      }
      if (!take(",") && !(skip(), text_.starts_with("}"))) {
        return "expected , or }";
      }
    }
    skip();
    return !text_.empty()           ? "unexpected text behind }"
           : type && order && shape ? ""
                                    : "one of 'descr', 'fortran_order' and 'shape' is missing";
  }

private:
  void skip() noexcept {
    while (!text_.empty() && (text_.front() == ' ' || text_.front() == '\n')) {
      text_.remove_prefix(1);
    }
  }
  bool take(std::string_view token) noexcept {
    skip();
    const bool found = text_.starts_with(token);
    text_.remove_prefix(found ? token.size() : 0);
    return found;
  }
  bool quoted(std::string_view& text) noexcept {
    skip();
    if (text_.empty() || (text_.front() != '\'' && text_.front() != '"')) {
      return false;
    }
    const std::size_t end = text_.find(text_.front(), 1);
    if (end == std::string_view::npos) {
      return false;
    }
    text = text_.substr(1, end - 1);
    text_.remove_prefix(end + 1);
    return true;
  }
  std::string parse_type(NpyHeader& header) {
    std::string_view type;
    if (!quoted(type)) {
      return "'descr' is not a quoted type";
    }
    header.element_bytes = type == "<f2" ? 2 : type == "<f4" ? 4 : type == "<f8" ? 8 : 0;
    return header.element_bytes != 0 ? ""
                                     : "expected type <f2, <f4 or <f8, found " + printable(type);
  }
  std::string parse_order(NpyHeader& header) {
    header.fortran = take("True");
    return header.fortran || take("False") ? "" : "'fortran_order' is neither True nor False";
  }
  std::string parse_shape(NpyHeader& header) {
    if (!take("(")) {
      return "'shape' is not a tuple";
    }
    Index axes[2] = {1, 1};
    int rank = 0;
    while (!take(")")) {
      skip();
      const std::size_t digits = std::min(text_.find_first_not_of("0123456789"), text_.size());
      const auto extent = number_of<std::int64_t>(text_.substr(0, digits));
      if (!extent) {
        return "'shape' has an axis that is not a number that fits";
      }
      if (rank == 2) {
        return "expected one or two axes, found more";
      }
      axes[rank++] = *extent;
      text_.remove_prefix(digits);
      if (!take(",") && !(skip(), text_.starts_with(")"))) {
        return "expected , or ) in 'shape'";
      }
    }
    header.rows = axes[0];
    header.cols = axes[1];
    return rank > 0 ? "" : "expected one or two axes, found a single number";
  }

  std::string_view text_;
};

template <class Element>
Element load(const char* bytes) noexcept {
  Element element;
  std::memcpy(&element, bytes, sizeof element);
  return element;
}

inline float load_float(const char* bytes, int element_bytes) noexcept {
  return element_bytes == 2   ? float_from_f16(load<std::uint16_t>(bytes))
         : element_bytes == 4 ? load<float>(bytes)
                              : float_from_double(load<double>(bytes));
}

/// Fills `into` or fails: the end of the file in the middle of something.
inline Failure read_exactly(ByteSource& source, char* into, std::size_t bytes, const char* what) {
  std::size_t have = 0;
  while (have < bytes) {
    auto count = source.read(into + have, bytes - have);
    if (!count) {
      return count.error();
    }
    if (*count == 0) {
      return DataError(std::string("the file ends inside its ") + what + ": expected " +
                           std::to_string(bytes) + " bytes, found " + std::to_string(have),
                       {source.path(), -1, source.position(), {}});
    }
    have += *count;
  }
  return std::nullopt;
}

inline Result<NpyHeader> read_npy_header(ByteSource& source) {
  const auto fail = [&](const std::string& sentence) {
    return DataError("npy header: " + sentence, {source.path(), -1, -1, {}});
  };
  char start[12] = {};
  if (Failure failure = read_exactly(source, start, 10, "header")) {
    return *std::move(failure);
  }
  if (std::string_view(start, 6) != std::string_view("\x93NUMPY", 6)) {
    return fail("this is no .npy file: its first six bytes are others");
  }
  const int version = start[6];
  std::size_t length = load<std::uint16_t>(start + 8);
  if (version == 2 || version == 3) {
    if (Failure failure = read_exactly(source, start + 10, 2, "header")) {
      return *std::move(failure);
    }
    length = load<std::uint32_t>(start + 8);
  } else if (version != 1) {
    return fail("expected version 1, 2 or 3, found " + std::to_string(version));
  }
  if (length > 65536) {
    return fail("its length of " + std::to_string(length) + " bytes is above 65536");
  }
  std::string text(length, '\0');
  if (Failure failure = read_exactly(source, text.data(), length, "header")) {
    return *std::move(failure);
  }
  NpyHeader header;
  if (std::string sentence = NpyDictionary(text).parse(header); !sentence.empty()) {
    return fail(sentence);
  }
  return header;
}

}  // namespace detail

/// Reads a matrix of float16, float32 or float64 (little-endian, C or Fortran order) from `.npy` or
/// `.npy.gz` as floats. One axis gives [rows, 1].
///
/// Cost    memory of the result (twice that in Fortran order) and a block; the header's shape is
///         believed only as far as bytes follow
/// Errors  DataError: damaged, cut or followed by more bytes, another type; NaN, infinity or a
///         float64 beyond float, naming row and column
///         ShapeError: not the asked rows or cols
inline Result<OwnedMatrix<float>> try_read_npy(const std::string& path,
                                               const NpyOptions& options = {}) {
  auto source = ByteSource::open(path, options.limits);
  if (!source) {
    return source.error();
  }
  auto header = detail::read_npy_header(*source);
  if (!header) {
    return header.error();
  }
  const Index rows = header->rows, cols = header->cols;
  const auto shape = "[" + std::to_string(rows) + ", " + std::to_string(cols) + "]";
  const Where where{path, -1, -1, {}};
  if ((options.rows > 0 && rows != options.rows) || (options.cols > 0 && cols != options.cols)) {
    const auto asked = [](Index extent) { return extent > 0 ? std::to_string(extent) : "any"; };
    return ShapeError("expected shape [" + asked(options.rows) + ", " + asked(options.cols) +
                          "], the file has " + shape,
                      where);
  }
  const auto bytes = static_cast<std::size_t>(header->element_bytes);
  constexpr Index most = Index{1} << 60;
  if (rows != 0 && cols > most / static_cast<Index>(bytes) / rows) {
    return DataError("npy header: the shape " + shape + " is beyond any file", where);
  }
  const Index size = rows * cols;
  const auto claimed = static_cast<std::size_t>(size) * bytes;
  if (!source->compressed() && source->plain_bytes() > 0 &&
      claimed + static_cast<std::size_t>(source->position()) !=
          static_cast<std::size_t>(source->plain_bytes())) {
    return DataError("shape " + shape + " takes " + std::to_string(claimed) +
                         " bytes behind the header, the file has " +
                         std::to_string(source->plain_bytes() - source->position()),
                     where);
  }
  OwnedMatrix<float> matrix;
  std::vector<char> block(std::size_t{1} << 16);
  // Grows with the bytes that arrive: a gzip file's shape cannot be checked beforehand.
  for (Index done = 0; done < size;) {
    const Index count = std::min<Index>(size - done, static_cast<Index>(block.size() / bytes));
    if (Failure failure = detail::read_exactly(*source, block.data(),
                                               static_cast<std::size_t>(count) * bytes, "values")) {
      return *std::move(failure);
    }
    if (source->plain_bytes() > 0 && done == 0) {
      matrix.values.reserve(static_cast<std::size_t>(size));
    }
    for (Index i = 0; i < count; ++i) {
      const float value = detail::load_float(block.data() + static_cast<std::size_t>(i) * bytes,
                                             header->element_bytes);
      if (!std::isfinite(value)) {
        const Index at = done + i;
        const Index row = header->fortran ? at % rows : at / cols;
        const Index col = header->fortran ? at / rows : at % cols;
        return DataError("row " + std::to_string(row) + ", column " + std::to_string(col) +
                             " is not a finite number",
                         where);
      }
      matrix.values.push_back(value);
    }
    done += count;
  }
  char more = 0;
  auto rest = source->read(&more, 1);
  if (!rest) {
    return rest.error();
  }
  if (*rest != 0) {
    return DataError("there are bytes behind the values of shape " + shape, where);
  }
  if (header->fortran && rows > 1 && cols > 1) {
    std::vector<float> transposed(matrix.values.size());
    for (Index row = 0; row < rows; ++row) {
      for (Index col = 0; col < cols; ++col) {
        transposed[static_cast<std::size_t>(row * cols + col)] =
            matrix.values[static_cast<std::size_t>(col * rows + row)];
      }
    }
    matrix.values = std::move(transposed);
  }
  matrix.rows = rows;
  matrix.cols = cols;
  return matrix;
}

inline OwnedMatrix<float> read_npy(const std::string& path, const NpyOptions& options = {}) {
  return try_read_npy(path, options).value_or_raise();
}

}  // namespace simgr::SIMGR_ABI::data
