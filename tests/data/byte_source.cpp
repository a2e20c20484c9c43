// SPDX-License-Identifier: Apache-2.0
#include <simgr/data/byte_source.hpp>

#include <algorithm>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <simgr/core/rng.hpp>

#include <support/gzip.hpp>
#include <support/processor_time.hpp>
#include <support/temporary_folder.hpp>

using simgr::data::Lines;
using simgr::data::SourceLimits;
using simgr_test::gzip;
using simgr_test::TemporaryFolder;

namespace {

std::string put(const TemporaryFolder& folder, const std::string& bytes) {
  simgr_test::write_bytes(folder.file("file"), bytes);
  return folder.file("file");
}

/// All lines joined by '|', or the error.
std::string lines_of(const std::string& path, const SourceLimits& limits = {}) {
  auto lines = Lines::open(path, limits);
  if (!lines) {
    return lines.error().what();
  }
  std::string joined;
  while (lines->next()) { joined += std::string(lines->line()) + "|"; }
  return lines->failure() ? lines->failure()->what() : joined;
}

std::string random_text(std::size_t bytes) {
  simgr::Rng rng(7);
  std::string text;
  while (text.size() < bytes) {
    text += static_cast<char>(rng.below(11) == 0 ? '\n' : 'a' + rng.below(26));
  }
  return text;
}

}  // namespace

TEST_CASE("plain and gzip files give the same bytes, whatever their names and members") {
  const TemporaryFolder folder;
  const std::string text = random_text(700000);
  CHECK(simgr::data::try_read_bytes(put(folder, text)).value_or_raise() == text);
  CHECK(simgr::data::try_read_bytes(put(folder, gzip(text))).value_or_raise() == text);
  const std::string members = gzip(text.substr(0, 5)) + gzip("") + gzip(text.substr(5));
  CHECK(simgr::data::try_read_bytes(put(folder, members)).value_or_raise() == text);
  CHECK(simgr::data::try_read_bytes(put(folder, "")).value_or_raise().empty());
}

TEST_CASE("lines end with LF or CRLF, the last one may have no end, a byte order mark is dropped") {
  const TemporaryFolder folder;
  CHECK(lines_of(put(folder, "a\nb\r\n\nc")) == "a|b||c|");
  CHECK(lines_of(put(folder, "a\n")) == "a|");
  CHECK(lines_of(put(folder, "\n")) == "|");
  CHECK(lines_of(put(folder, "")).empty());
  CHECK(lines_of(put(folder, "\xef\xbb\xbf")).empty());
  CHECK(lines_of(put(folder, "\xef\xbb\xbf"
                             "a\nb")) == "a|b|");
  CHECK(lines_of(put(folder, "\xef")) == "\xef|");
  CHECK(lines_of(put(folder, gzip("\xef") + gzip("\xbb\xbf"
                                                 "a\nb"))) == "a|b|");
}

TEST_CASE("lines across the borders of blocks stay whole, with their numbers and offsets") {
  const TemporaryFolder folder;
  const std::string text = random_text(900000) + std::string(400000, 'x') + "\nend";
  for (const std::string& bytes : {text, gzip(text)}) {
    auto lines = Lines::open(put(folder, bytes)).value_or_raise();
    std::size_t at = 0;
    std::int64_t number = 0;
    bool same = true;
    while (lines.next()) {
      same = same && text.compare(at, lines.line().size(), lines.line()) == 0 &&
             lines.offset() == static_cast<std::int64_t>(at) && lines.number() == ++number;
      at += lines.line().size() + 1;
    }
    CHECK(same);
    CHECK(at == text.size() + 1);
    CHECK_FALSE(lines.failure().has_value());
  }
}

TEST_CASE("a gzip file cut at any byte is refused, except where nothing of it is left") {
  const TemporaryFolder folder;
  const std::string packed = gzip("user\titems\n0\t1 2 3\n");
  for (std::size_t cut = 2; cut < packed.size(); ++cut) {
    CAPTURE(cut);
    const std::string found = lines_of(put(folder, packed.substr(0, cut)));
    CHECK(found.find("cut off") != std::string::npos);
    CHECK(found.find("file: the gzip") != std::string::npos);
  }
}

TEST_CASE(
    "a gzip file with any byte changed gives an error, or the text where the bit meant nothing") {
  const TemporaryFolder folder;
  const std::string text = "user\titems\n0\t1 2 3\n", packed = gzip(text);
  const std::string expected = "user\titems|0\t1 2 3|";
  int errors = 0;
  for (std::size_t at = 10; at < packed.size(); ++at) {
    std::string changed = packed;
    changed[at] = static_cast<char>(changed[at] ^ 0x10);
    const std::string found = lines_of(put(folder, changed));
    CAPTURE(at);
    const bool refused = found.find("gzip stream") != std::string::npos;
    CHECK((refused || found == expected));
    errors += refused ? 1 : 0;
  }
  CHECK(errors > 20);
}

TEST_CASE("every member's checksum and length count, wherever blocks of the file end") {
  const TemporaryFolder folder;
  const std::string text = random_text(400000);
  std::string packed;
  std::vector<std::size_t> ends;
  simgr::Rng rng(11);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t count =
        std::min(static_cast<std::size_t>(1 + rng.below(600)), text.size() - at);
    packed += gzip(text.substr(at, count));
    ends.push_back(packed.size());
    at += count;
  }
  CHECK(simgr::data::try_read_bytes(put(folder, packed)).value_or_raise() == text);
  for (std::size_t member = 0; member < ends.size(); member += 97) {
    for (const std::size_t back :
         {std::size_t{1}, std::size_t{5}, std::size_t{8}}) {  // length, checksum
      std::string changed = packed;
      changed[ends[member] - back] = static_cast<char>(changed[ends[member] - back] ^ 1);
      const auto found = simgr::data::try_read_bytes(put(folder, changed));
      REQUIRE_FALSE(static_cast<bool>(found));
      CHECK(std::string(found.error().what()).find("checksum or length") != std::string::npos);
    }
  }
}

TEST_CASE("a gzip header with a name, a comment and a checksum is read; damaged, it is refused") {
  const TemporaryFolder folder;
  std::string packed = gzip("a\nb\n");
  packed[3] = 2 | 8 | 16;  // header checksum, name, comment
  std::string header = packed.substr(0, 10) + std::string("name\0a comment\0", 15);
  const auto checksum = crc32(0, reinterpret_cast<const unsigned char*>(header.data()),
                              static_cast<unsigned>(header.size()));
  header += static_cast<char>(checksum & 255);
  header += static_cast<char>(checksum >> 8 & 255);
  packed = header + packed.substr(10);
  CHECK(lines_of(put(folder, packed)) == "a|b|");
  packed[header.size() - 1] = static_cast<char>(packed[header.size() - 1] ^ 1);
  CHECK(lines_of(put(folder, packed)).find("gzip stream is damaged") != std::string::npos);
}

TEST_CASE("bytes behind a gzip stream are refused") {
  const TemporaryFolder folder;
  CHECK(lines_of(put(folder, gzip("a\n") + "more")).find("behind the end") != std::string::npos);
  CHECK(lines_of(put(folder, gzip("a\n") + "\x1f")).find("behind the end") != std::string::npos);
}

TEST_CASE("compression bombs stop within a second of processor time") {
  const TemporaryFolder folder;
  const std::string path = put(folder, gzip(std::string(8'000'000, '\n')));
  const double seconds = simgr_test::processor_seconds(
      [&] { CHECK(lines_of(path).find("more than 1000 times") != std::string::npos); });
  CHECK(seconds < 1 * simgr_test::slowness);
  CHECK(lines_of(path, {.ratio = 100000}).size() == 8'000'000);
  CHECK(lines_of(path, {.total_bytes = 1000000, .ratio = 100000}).find("more than 1000000 bytes") !=
        std::string::npos);
}

TEST_CASE("a line above the limit is refused before it is held") {
  const TemporaryFolder folder;
  const std::string path = put(folder, "short\n" + std::string(5'000'000, 'x'));
  CHECK(lines_of(path, {.line_bytes = 1000000}).find("longer than 1000000") != std::string::npos);
  CHECK(lines_of(path).size() == 5'000'000 + 7);
}

TEST_CASE("files that cannot be opened or read say why") {
  const TemporaryFolder folder;
  CHECK(lines_of(folder.file("absent")).find("absent: cannot open: No such file") !=
        std::string::npos);
  CHECK(lines_of(folder.path().string()).find("cannot read: Is a directory") != std::string::npos);
  CHECK(Lines::open(folder.file("absent")).error().kind() == simgr::ErrorKind::io);
}
