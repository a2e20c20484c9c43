// SPDX-License-Identifier: Apache-2.0
#include <simgr/data/npy.hpp>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <support/gzip.hpp>
#include <support/temporary_folder.hpp>

using simgr::data::NpyOptions;
using simgr_test::TemporaryFolder;

namespace {

std::string npy(const std::string& dictionary, const std::string& values, int version = 1) {
  std::string bytes = "\x93NUMPY";
  bytes += static_cast<char>(version);
  bytes += '\0';
  bytes += static_cast<char>(dictionary.size() & 255);
  bytes += static_cast<char>(dictionary.size() >> 8 & 255);
  if (version > 1) {
    bytes += std::string(2, '\0');
  }
  return bytes + dictionary + values;
}

std::string dictionary(const std::string& type, const std::string& shape,
                       const std::string& order = "False") {
  return "{'descr': '" + type + "', 'fortran_order': " + order + ", 'shape': " + shape + ", }\n";
}

template <class T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

simgr::Result<simgr::OwnedMatrix<float>> read_array(const TemporaryFolder& folder,
                                                    const std::string& bytes,
                                                    const NpyOptions& options = {}) {
  simgr_test::write_bytes(folder.file("m.npy"), bytes);
  return simgr::data::try_read_npy(folder.file("m.npy"), options);
}

const std::vector<float> six = {1, 2, 3, 4, 5, 6.5f};

}  // namespace

TEST_CASE("matrices of half, single and double are read in both orders, plain and gzip") {
  const TemporaryFolder folder;
  const auto expect = [&](const std::string& bytes, const std::vector<float>& values) {
    for (const std::string& file : {bytes, simgr_test::gzip(bytes)}) {
      const auto matrix = read_array(folder, file).value_or_raise();
      CHECK(matrix.rows == 2);
      CHECK(matrix.cols == 3);
      CHECK(matrix.values == values);
    }
  };
  const std::vector<double> doubles(six.begin(), six.end());
  const std::vector<std::uint16_t> halves = {0x3c00, 0x4000, 0x4200, 0x4400, 0x4500, 0x4680};
  expect(npy(dictionary("<f4", "(2, 3)"), bytes_of(six)), six);
  expect(npy(dictionary("<f8", "(2, 3)"), bytes_of(doubles)), six);
  expect(npy(dictionary("<f2", "(2, 3)"), bytes_of(halves)), six);
  expect(npy(dictionary("<f4", "(2, 3)", "True"), bytes_of(six)), {1, 3, 5, 2, 4, 6.5f});
  expect(npy(dictionary("<f4", "(2, 3)"), bytes_of(six), 2), six);
  expect(npy(dictionary("<f4", "(2, 3)"), bytes_of(six), 3), six);
  expect(npy("{\"shape\":(2,3),\"descr\":\"<f4\",\"fortran_order\":False}", bytes_of(six)), six);
}

TEST_CASE("one axis is a column, no rows are an empty matrix") {
  const TemporaryFolder folder;
  const auto column =
      read_array(folder, npy(dictionary("<f4", "(6,)"), bytes_of(six))).value_or_raise();
  CHECK(column.rows == 6);
  CHECK(column.cols == 1);
  const auto empty = read_array(folder, npy(dictionary("<f4", "(0, 3)"), "")).value_or_raise();
  CHECK(empty.rows == 0);
  CHECK(empty.cols == 3);
}

TEST_CASE("broken npy files are refused, and nothing is allocated from their claims") {
  struct Case {
    std::string bytes, part;
  };
  const std::string data = bytes_of(six);
  const auto with = [&](const std::string& text) { return npy(text, data); };
  const auto shaped = [&](const std::string& shape) { return with(dictionary("<f4", shape)); };
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<double> wide = {1, 2, 3, 1e300, 5, 6};
  const std::vector<std::uint16_t> half_inf = {0x3c00, 0x7c00};
  std::string magic = shaped("(2, 3)");
  magic[0] = 'x';
  std::string long_header = npy(dictionary("<f4", "(2, 3)"), data, 2);
  long_header[11] = '\x10';
  const Case cases[] = {
      {"", "ends inside its header"},
      {"\x93NUMPY", "ends inside its header"},
      {magic, "no .npy file"},
      {npy(dictionary("<f4", "(2, 3)"), data, 4), "version 1, 2 or 3, found 4"},
      {npy(dictionary("<f4", "(2, 3)"), data, 0), "version 1, 2 or 3, found 0"},
      {long_header, "above 65536"},
      {with(""), "expected {"},
      {with("{"), "expected a quoted name"},
      {with("[]"), "expected {"},
      {with("{'descr': '<f4'}"), "is missing"},
      {with("{'descr': '<f4', 'descr': '<f4'}"), "repeated name 'descr'"},
      {with("{'other': 1}"), "unexpected or repeated name 'other'"},
      {with("{'shape': (2, 3), 'fortran_order': False, 'descr': <f4}"), "not a quoted type"},
      {with("{'descr': '<f4', 'fortran_order': 0, 'shape': (2, 3)}"), "neither True nor False"},
      {with("{'descr': '<f4', 'fortran_order': False, 'shape': 6}"), "not a tuple"},
      {with("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)} x"), "behind }"},
      {with("{'descr': '<f4' 'fortran_order': False, 'shape': (2, 3)}"), "expected , or }"},
      {with("{'descr: <f4"), "quoted name"},
      {with(dictionary("<i4", "(2, 3)")), "expected type <f2, <f4 or <f8, found <i4"},
      {with(dictionary(">f4", "(2, 3)")), "found >f4"},
      {with(dictionary("|O", "(2, 3)")), "found |O"},
      {shaped("()"), "one or two axes"},
      {shaped("(1, 2, 3)"), "one or two axes"},
      {shaped("(a, b)"), "an axis that is not a number"},
      {shaped("(-2, 3)"), "an axis that is not a number"},
      {shaped("(2.0, 3)"), "expected , or )"},
      {shaped("(2, 3"), "an axis that is not a number"},
      {shaped("(99999999999999999999, 3)"), "not a number that fits"},
      {shaped("(4611686018427387904, 4)"), "beyond any file"},
      {shaped("(9223372036854775807, 9223372036854775807)"), "beyond any file"},
      {shaped("(1000000000000, 3)"),
       "takes 12000000000000 bytes behind the header, the file has 24"},
      {shaped("(2, 4)"), "takes 32 bytes behind the header, the file has 24"},
      {shaped("(2, 2)"), "takes 16 bytes behind the header, the file has 24"},
      {npy(dictionary("<f4", "(2, 3)"), data.substr(0, 8)), "the file has 8"},
      {simgr_test::gzip(shaped("(1000000000000, 3)")), "ends inside its values"},
      {simgr_test::gzip(shaped("(2, 4)")), "ends inside its values"},
      {simgr_test::gzip(shaped("(2, 2)")), "bytes behind the values"},
      {npy(dictionary("<f4", "(2, 3)"), bytes_of(std::vector<float>{1, 2, 3, 4, nan, 6})),
       "row 1, column 1 is not a finite number"},
      {npy(dictionary("<f4", "(2, 3)", "True"), bytes_of(std::vector<float>{1, 2, 3, nan, 5, 6})),
       "row 1, column 1 is not a finite number"},
      {npy(dictionary("<f8", "(2, 3)"), bytes_of(wide)), "row 1, column 0 is not a finite number"},
      {npy(dictionary("<f2", "(2,)"), bytes_of(half_inf)), "row 1, column 0 is not a finite"},
  };
  const TemporaryFolder folder;
  for (const Case& c : cases) {
    CAPTURE(c.bytes);
    const auto result = read_array(folder, c.bytes);
    REQUIRE_FALSE(result.ok());
    const std::string found = result.error().what();
    CHECK_MESSAGE(found.find(c.part) != std::string::npos, found);
    CHECK(found.find("m.npy") != std::string::npos);
  }
}

TEST_CASE("asked rows and columns are insisted on") {
  const TemporaryFolder folder;
  const std::string bytes = npy(dictionary("<f4", "(2, 3)"), bytes_of(six));
  CHECK(read_array(folder, bytes, {.rows = 2, .cols = 3}).ok());
  const auto result = read_array(folder, bytes, {.rows = 5});
  REQUIRE_FALSE(result.ok());
  CHECK(result.error().kind() == simgr::ErrorKind::shape);
  CHECK(std::string(result.error().what()).find("expected shape [5, any], the file has [2, 3]") !=
        std::string::npos);
}

TEST_CASE("an npy file cut at any byte is refused") {
  const TemporaryFolder folder;
  const std::string bytes = npy(dictionary("<f4", "(2, 3)"), bytes_of(six));
  for (const std::string& file : {bytes, simgr_test::gzip(bytes)}) {
    for (std::size_t cut = 0; cut < file.size(); ++cut) {
      CAPTURE(cut);
      CHECK_FALSE(read_array(folder, file.substr(0, cut)).ok());
    }
  }
}

TEST_CASE("any byte of the header changed to any value never crashes") {
  const TemporaryFolder folder;
  const std::string bytes = npy(dictionary("<f4", "(2, 3)"), bytes_of(six));
  int accepted = 0;
  for (std::size_t at = 0; at + 24 < bytes.size(); ++at) {
    for (int value = 0; value < 256; value += 5) {
      std::string changed = bytes;
      changed[at] = static_cast<char>(value);
      accepted += read_array(folder, changed).ok() ? 1 : 0;
    }
  }
  CHECK(accepted > 0);
}
