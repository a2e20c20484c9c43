// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>

#include <zlib.h>

#include <simgr/core/config.hpp>
#include <simgr/core/types.hpp>
#include <simgr/data/crc32_folding.hpp>

namespace simgr::SIMGR_ABI::data {

/// What one call of an inflater did.
struct Inflated {
  std::size_t taken = 0, written = 0;  // bytes of the input and of the output
  bool ended = false;                  // this was the end of the gzip member
  const char* damage = nullptr;        // what is wrong with the stream, where something is
};

/// Unpacks gzip members, block by block, with zlib.
///
/// Cost    inflate() is about nine tenths; the checksum is folded here, in a sixth of zlib's time
/// Errors  damage(), in words; a constructor that found no memory leaves an inflater whose first
///         call says so
class ZlibInflater {
public:
  /// The bytes in front of the input that inflate() reads again: the trailer of a member, checksum
  /// and length, may begin in an earlier block.
  static constexpr std::size_t bytes_before = 8;

  ZlibInflater() : stream_(new z_stream{}) {  // the deleter ends a stream that never began, too
    ready_ = inflateInit2(stream_.get(), 15 + 16) == Z_OK;
  }

  void begin_member() {
    inflateReset(stream_.get());
    inflateValidate(stream_.get(), 1);
    in_header_ = true;
    checksum_ = 0;
    bytes_ = 0;
  }

  /// Reads at most `count` bytes from `from`, writes at most `room` to `into`.
  Inflated inflate(const unsigned char* from, std::size_t count, char* into, std::size_t room) {
    if (!ready_) {
      return {0, 0, false, "zlib cannot start"};
    }
    z_stream& stream = *stream_;
    stream.next_in = const_cast<Bytef*>(from);
    stream.avail_in = clipped(count);
    stream.next_out = reinterpret_cast<Bytef*>(into);
    stream.avail_out = clipped(room);
    const int code = ::inflate(&stream, in_header_ ? Z_BLOCK : Z_NO_FLUSH);
    Inflated done{clipped(count) - stream.avail_in, clipped(room) - stream.avail_out, false,
                  nullptr};
    add_to_checksum(reinterpret_cast<const unsigned char*>(into), done.written);
    if (in_header_ && code == Z_OK && (stream.data_type & 128) != 0) {
      in_header_ = false;
      inflateValidate(&stream, 0);  // add_to_checksum sees to it
    }
    if (code == Z_STREAM_END) {
      done.ended = true;
      std::array<std::uint32_t, 2> trailer{};
      static_assert(sizeof(trailer) == bytes_before);
      std::memcpy(trailer.data(), from + done.taken - bytes_before, bytes_before);
      if (trailer[0] != checksum_ || trailer[1] != bytes_) {
        done.damage = "incorrect checksum or length";
      }
    } else if (code != Z_OK && code != Z_BUF_ERROR) {
      done.damage = stream.msg != nullptr ? stream.msg : "out of memory";
    }
    return done;
  }

private:
  struct End {
    void operator()(z_stream* stream) const noexcept {
      inflateEnd(stream);
      delete stream;
    }
  };
  static uInt clipped(std::size_t bytes) noexcept {
    return static_cast<uInt>(std::min(bytes, std::size_t{1} << 30));
  }
  void add_to_checksum(const unsigned char* bytes, std::size_t count) {
    std::array<unsigned char, 64> rest;
    const std::size_t folded = fold_crc32(checksum_, bytes, count, rest);
    if (folded > 0) {
      checksum_ = static_cast<std::uint32_t>(crc32(0xffffffffu, rest.data(), 64));
    }
    checksum_ = static_cast<std::uint32_t>(
        crc32_z(checksum_, bytes + folded, static_cast<z_size_t>(count - folded)));
    bytes_ += static_cast<std::uint32_t>(count);
  }

  std::unique_ptr<z_stream, End> stream_;
  bool ready_ = false, in_header_ = true;
  std::uint32_t checksum_ = 0, bytes_ = 0;  // of this member; the second modulo 2^32
};

}  // namespace simgr::SIMGR_ABI::data
