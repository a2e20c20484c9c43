// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <simgr/core/error.hpp>
#include <simgr/core/types.hpp>
#if defined(SIMGR_ISAL)
#include <simgr/data/isal_inflater.hpp>
#else
#include <simgr/data/zlib_inflater.hpp>
#endif

namespace simgr::SIMGR_ABI::data {

#if defined(SIMGR_ISAL)
using Inflater = IsalInflater;
#else
using Inflater = ZlibInflater;
#endif

/// What a file may cost its reader.
struct SourceLimits {
  std::int64_t line_bytes = std::int64_t{64} << 20;    // longest line
  std::int64_t total_bytes = std::int64_t{256} << 30;  // unpacked size
  std::int64_t ratio = 1000;  // unpacked by packed bytes, past the first MiB
};

/// The bytes of a file, in order, unpacked where it is gzip (told by its first two bytes, not by
/// its name). Concatenated gzip members are one stream.
///
/// Cost    less than 200 KiB of memory, whatever the file's size
/// Errors  IoError: the file cannot be opened or read
///         DataError: a gzip stream that is cut, damaged or followed by something else, or that
///         grows beyond the limits
class ByteSource {
public:
  static Result<ByteSource> open(const std::string& path, const SourceLimits& limits = {}) {
    ByteSource source(path, limits);
    source.file_.reset(std::fopen(path.c_str(), "rb"));
    if (source.file_ == nullptr) {
      return IoError(std::string("cannot open: ") + std::strerror(errno), source.where());
    }
    std::error_code error;
    const auto bytes = std::filesystem::file_size(path, error);
    source.file_bytes_ = error ? 0 : static_cast<std::int64_t>(bytes);
    std::setvbuf(source.file_.get(), nullptr, _IONBF, 0);
    source.packed_.resize(packed_bytes);
    if (Failure failure = source.refill()) {
      return *std::move(failure);
    }
    if (source.filled_ >= 2 && source.at_magic()) {
      source.inflater_.emplace();
    }
    return source;
  }

  /// Writes up to `capacity` bytes to `into`; 0 means the end.
  Result<std::size_t> read(char* into, std::size_t capacity) {
    auto count = inflater_ ? read_packed(into, capacity) : read_plain(into, capacity);
    if (count) {
      position_ += static_cast<std::int64_t>(*count);
      if (position_ > limits_.total_bytes) {
        return DataError("more than " + std::to_string(limits_.total_bytes) + " bytes", where());
      }
    }
    return count;
  }

  const std::string& path() const noexcept { return path_; }
  /// Unpacked bytes handed out so far.
  std::int64_t position() const noexcept { return position_; }
  bool compressed() const noexcept { return inflater_.has_value(); }
  /// Size of a plain file; 0 where the file is compressed or the system does not know.
  std::int64_t plain_bytes() const { return compressed() ? 0 : file_bytes_; }
  /// About how many unpacked bytes the file has, judged by those seen so far. At most 16 times its
  /// size: a first block that packs well is no reason to reserve more.
  std::int64_t expected_bytes() const {
    const std::int64_t used = raw_ - static_cast<std::int64_t>(filled_ - taken_);
    if (!compressed() || used == 0) {
      return compressed() ? 0 : file_bytes_;
    }
    const double ratio = static_cast<double>(position_) / static_cast<double>(used);
    return static_cast<std::int64_t>(std::min(ratio, 16.0) * static_cast<double>(file_bytes_));
  }

private:
  struct Close {
    void operator()(std::FILE* file) const noexcept { std::fclose(file); }
  };
  static constexpr std::size_t packed_bytes = std::size_t{1} << 16;

  ByteSource(std::string path, const SourceLimits& limits)
      : path_(std::move(path)), limits_(limits) {}

  Where where() const { return {path_, -1, -1, {}}; }
  bool at_magic() const noexcept {
    return packed_[taken_] == 0x1f && taken_ + 1 < filled_ && packed_[taken_ + 1] == 0x8b;
  }

  /// Reads the next raw bytes behind those not yet taken and what the inflater reads again.
  Failure refill() {
    const std::size_t gone = taken_ - std::min(taken_, Inflater::bytes_before);
    std::memmove(packed_.data(), packed_.data() + gone, filled_ - gone);
    filled_ -= gone;
    taken_ -= gone;
    const std::size_t count =
        std::fread(packed_.data() + filled_, 1, packed_.size() - filled_, file_.get());
    filled_ += count;
    raw_ += static_cast<std::int64_t>(count);
    at_file_end_ = count == 0;
    if (std::ferror(file_.get()) != 0) {
      return IoError(std::string("cannot read: ") + std::strerror(errno), where());
    }
    return std::nullopt;
  }

  Result<std::size_t> read_plain(char* into, std::size_t capacity) {
    std::size_t count = std::min(capacity, filled_ - taken_);  // what detection has read already
    std::memcpy(into, packed_.data() + taken_, count);
    taken_ += count;
    if (count == 0) {
      count = std::fread(into, 1, capacity, file_.get());
      if (std::ferror(file_.get()) != 0) {
        return IoError(std::string("cannot read: ") + std::strerror(errno), where());
      }
    }
    return count;
  }

  Result<std::size_t> read_packed(char* into, std::size_t capacity) {
    std::size_t written = 0;
    while (written < capacity && !finished_) {
      // Room for a block of output: zlib copies with more care for 32 KiB behind the begin of a call,
      // so calls should end with their output and not with their input.
      if (filled_ - taken_ < packed_bytes - packed_bytes / 8 && !at_file_end_) {
        if (Failure failure = refill()) {
          return *std::move(failure);
        }
      }
      if (between_members_) {
        if (filled_ == taken_) {
          finished_ = true;
          break;
        }
        if (!at_magic()) {
          return DataError("there are bytes behind the end of the gzip stream", where());
        }
        inflater_->begin_member();
        between_members_ = output_waits_ = false;
      }
      if (filled_ == taken_ && !output_waits_) {
        return DataError("the gzip stream is cut off: its end is missing after " +
                             std::to_string(raw_) + " packed bytes",
                         where());
      }
      const std::size_t waiting = filled_ - taken_, room = capacity - written;
      const Inflated done =
          inflater_->inflate(packed_.data() + taken_, waiting, into + written, room);
      taken_ += done.taken;
      written += done.written;
      between_members_ = done.ended;
      output_waits_ = done.written == room;  // there may be more of what was taken already
      const bool stands_still = waiting > 0 && done.taken + done.written == 0 && !done.ended;
      if (done.damage != nullptr || stands_still) {
        return DataError(std::string("the gzip stream is damaged: ") +
                             (stands_still ? "it makes no progress" : done.damage),
                         where());
      }
      const std::int64_t unpacked = position_ + static_cast<std::int64_t>(written);
      const std::int64_t used = raw_ - static_cast<std::int64_t>(filled_ - taken_);
      if (unpacked > (std::int64_t{1} << 20) && unpacked / limits_.ratio > used) {
        return DataError("the gzip stream unpacks to more than " + std::to_string(limits_.ratio) +
                             " times its size",
                         where());
      }
    }
    return written;
  }

  std::string path_;
  SourceLimits limits_;
  std::unique_ptr<std::FILE, Close> file_;
  std::optional<Inflater> inflater_;    // where the file is gzip
  std::vector<unsigned char> packed_;   // raw bytes of the file
  std::size_t taken_ = 0, filled_ = 0;  // the part of packed_ not yet used
  std::int64_t file_bytes_ = 0;
  std::int64_t raw_ = 0;  // bytes read from the file
  std::int64_t position_ = 0;
  bool between_members_ = true, output_waits_ = false, finished_ = false, at_file_end_ = false;
};

/// A file as blocks of whole lines: memory is one block, whatever the file's size.
///
/// Every block ends with '\n' (a last line without one gets it), and `margin` bytes on both sides
/// may be read: parsers load words without looking at the ends. A UTF-8 byte order mark at the
/// start is dropped.
class LineBlocks {
public:
  static constexpr std::size_t margin = 64;

  static Result<LineBlocks> open(const std::string& path, const SourceLimits& limits = {}) {
    auto source = ByteSource::open(path, limits);
    if (!source) {
      return source.error();
    }
    return LineBlocks(std::move(*source), limits);
  }

  const std::string& path() const noexcept { return source_.path(); }

  /// About how many bytes the whole text has, see ByteSource.
  std::int64_t expected_bytes() const { return source_.expected_bytes(); }

  /// The next block, empty at the end. Valid until the next call.
  ///
  /// @param unused  this many last bytes of the current block come again, followed by more where
  ///                there is more: for records that go over several lines
  ///
  /// Errors  those of ByteSource; DataError for a line (or such a record) above the limit
  Result<std::string_view> next(std::size_t unused = 0) {
    whole_ -= unused;
    begin_ += static_cast<std::int64_t>(whole_);
    filled_ -= whole_;
    std::memmove(text(), text() + whole_, filled_);
    whole_ = 0;
    while (!ended_) {
      if (filled_ + 1 >= capacity()) {
        if (static_cast<std::int64_t>(filled_) > limits_.line_bytes) {
          return DataError("a line is longer than " + std::to_string(limits_.line_bytes) + " bytes",
                           {path(), -1, begin_, {}});
        }
        buffer_.resize(2 * capacity() + 2 * margin);
      }
      auto count = source_.read(text() + filled_, capacity() - 1 - filled_);
      if (!count) {
        return count.error();
      }
      ended_ = *count == 0;
      const std::size_t searched = filled_;
      filled_ += *count;
      if (first_) {
        if (filled_ < 3 && !ended_) {
          continue;  // too little to tell a byte order mark
        }
        first_ = false;
        if (std::string_view(text(), filled_).starts_with("\xef\xbb\xbf")) {
          filled_ -= 3;
          std::memmove(text(), text() + 3, filled_);
          begin_ = 3;
        }
        if (const void* last = last_newline(0)) {
          whole_ = static_cast<std::size_t>(static_cast<const char*>(last) - text()) + 1;
          break;
        }
        continue;
      }
      if (const void* last = last_newline(searched)) {
        whole_ = static_cast<std::size_t>(static_cast<const char*>(last) - text()) + 1;
        break;
      }
    }
    if (whole_ == 0 && filled_ > 0 && text()[filled_ - 1] == '\n') {
      whole_ = filled_;
    } else if (whole_ == 0 && filled_ > 0) {  // the last line has no '\n'
      text()[filled_++] = '\n';
      whole_ = filled_;
    }
    return std::string_view(text(), whole_);
  }

  /// Whether the current block is the last.
  bool at_end() const noexcept { return ended_; }

  /// Where the current block begins in the unpacked file.
  std::int64_t block_offset() const noexcept { return begin_; }

private:
  LineBlocks(ByteSource source, const SourceLimits& limits)
      : source_(std::move(source)), limits_(limits), buffer_((std::size_t{1} << 17) + 2 * margin) {}

  char* text() noexcept { return buffer_.data() + margin; }
  std::size_t capacity() const noexcept { return buffer_.size() - 2 * margin; }
  const void* last_newline(std::size_t from) noexcept {
    for (std::size_t i = filled_; i > from; --i) {
      if (text()[i - 1] == '\n') {
        return text() + (i - 1);
      }
    }
    return nullptr;
  }

  ByteSource source_;
  SourceLimits limits_;
  std::vector<char> buffer_;
  std::size_t whole_ = 0, filled_ = 0;  // bytes of whole lines, and of all
  std::int64_t begin_ = 0;
  bool ended_ = false, first_ = true;
};

/// A file line by line, with line numbers. `\r\n` ends a line as `\n` does.
///
///   while (lines.next()) { use(lines.line(), lines.number()); }
///   if (lines.failure()) { ... }
///
/// Errors  those of LineBlocks
class Lines {
public:
  static Result<Lines> open(const std::string& path, const SourceLimits& limits = {}) {
    auto blocks = LineBlocks::open(path, limits);
    if (!blocks) {
      return blocks.error();
    }
    return Lines(std::move(*blocks));
  }

  /// Goes to the next line; false at the end and on failure.
  bool next() {
    if (rest_.empty()) {
      auto block = blocks_.next();
      if (!block) {
        failure_ = block.error();
        return false;
      }
      block_ = rest_ = *block;
      if (rest_.empty()) {
        return false;
      }
    }
    offset_ = blocks_.block_offset() + (rest_.data() - block_.data());
    const std::size_t end = rest_.find('\n');
    line_ = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    if (line_.ends_with('\r')) {
      line_.remove_suffix(1);
    }
    ++number_;
    return true;
  }

  /// Without its end; valid until the next call.
  std::string_view line() const noexcept { return line_; }
  std::int64_t number() const noexcept { return number_; }  // 1-based
  const Failure& failure() const noexcept { return failure_; }
  /// Place of the current line, for messages.
  Where where(std::string field = {}) const {
    return {blocks_.path(), number_, -1, std::move(field)};
  }
  /// Unpacked bytes in front of the current line.
  std::int64_t offset() const noexcept { return offset_; }

private:
  explicit Lines(LineBlocks blocks) : blocks_(std::move(blocks)) {}

  LineBlocks blocks_;
  std::string_view block_, rest_, line_;
  std::int64_t number_ = 0, offset_ = 0;
  Failure failure_;
};

/// A whole file in memory, unpacked. Memory grows with what is there, never with a claim.
///
/// Errors  those of ByteSource
inline Result<std::string> try_read_bytes(const std::string& path,
                                          const SourceLimits& limits = {}) {
  auto source = ByteSource::open(path, limits);
  if (!source) {
    return source.error();
  }
  std::string bytes;
  for (;;) {
    const std::size_t used = bytes.size();
    bytes.resize(used + std::max<std::size_t>(used / 2, std::size_t{1} << 16));
    auto count = source->read(bytes.data() + used, bytes.size() - used);
    if (!count) {
      return count.error();
    }
    bytes.resize(used + *count);
    if (*count == 0) {
      return bytes;
    }
  }
}

}  // namespace simgr::SIMGR_ABI::data
