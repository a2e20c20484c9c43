// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <functional>  // std::less_equal of pointers
#include <span>
#include <string>
#include <utility>

#include <sys/mman.h>
#include <unistd.h>  // sysconf

#include <simgr/core/error.hpp>
#include <simgr/io/input_file.hpp>

namespace simgr::SIMGR_ABI::io {

/// The bytes of a file in memory without a copy: read from the disk when they are first touched,
/// shared with every process that maps the same file, and given up by the system when memory is
/// short. A file that is replaced, as AtomicFile does, stays as it was.
///
/// A file that somebody cuts meanwhile is another matter: touching what is gone ends the process
/// (SIGBUS). Who cannot rule that out copies.
class MappedFile {
public:
  MappedFile() = default;
  MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  MappedFile& operator=(MappedFile&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~MappedFile() {
    if (!bytes_.empty()) {
      ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
    }
  }

  /// Errors  IoError of the system
  static Result<MappedFile> try_map(const InputFile& file) {
    MappedFile mapped;
    if (file.size() > 0) {
      const auto size = static_cast<std::size_t>(file.size());
      void* memory = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.handle(), 0);
      if (memory == MAP_FAILED) {
        return IoError(std::string("mmap: ") + std::strerror(errno), {.file = file.path()});
      }
      mapped.bytes_ = {static_cast<const std::byte*>(memory), size};
    }
    return mapped;
  }

  std::span<const std::byte> bytes() const noexcept { return bytes_; }

  /// Gives the memory of a part back, where it is one of this file; touched again, it is read again.
  void release(std::span<const std::byte> part) const noexcept {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    const std::less_equal<> before;
    if (!before(bytes_.data(), part.data()) ||
        !before(part.data() + part.size(), bytes_.data() + bytes_.size())) {
      return;
    }
    const auto from = static_cast<std::size_t>(part.data() - bytes_.data()) / page * page;
    const auto to = static_cast<std::size_t>(part.data() + part.size() - bytes_.data());
    ::madvise(const_cast<std::byte*>(bytes_.data()) + from, to - from, MADV_DONTNEED);
  }

private:
  std::span<const std::byte> bytes_;
};

}  // namespace simgr::SIMGR_ABI::io
