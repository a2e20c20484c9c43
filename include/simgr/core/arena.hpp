// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>  // std::align_val_t
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <simgr/core/view.hpp>

namespace simgr::SIMGR_ABI {

namespace detail {

/// Asks for pages of 2 MiB under a large block, where the system has some and leaves it to programs: a
/// step of training walks through all of its memory (MiniLM's is 1.08 times as fast).
inline void prefer_large_pages(std::byte* memory, std::size_t bytes) noexcept {
#if defined(MADV_HUGEPAGE)
  constexpr std::uintptr_t page = 4096;
  if (bytes >= std::size_t{16} << 20) {
    const auto begin = (reinterpret_cast<std::uintptr_t>(memory) + page - 1) / page * page,
               end = (reinterpret_cast<std::uintptr_t>(memory) + bytes) / page * page;
    // Refused, the block is what it was.
    (void)::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
  }
#else
  (void)memory, (void)bytes;
#endif
}

}  // namespace detail

/// A bump allocator for everything that lives no longer than one step.
///
///   take   hands out uninitialised, 64-byte aligned memory
///   Scope  gives back, when it ends, what was taken since it began
///   reset  gives back everything
///
/// A step that needs more than the arena holds takes further blocks from the heap; the next `reset`
/// replaces them by one of the high-water mark: from the second equal step on nothing is allocated.
///
/// Errors  std::bad_alloc from the heap; counts are trusted
class Arena {
public:
  static constexpr std::size_t alignment = 64;

  Arena() = default;
  explicit Arena(std::size_t bytes) { grow(bytes); }
  Arena(Arena&&) noexcept = default;
  Arena& operator=(Arena&&) noexcept = default;

  /// Memory of `count` elements of a trivial type, valid until the enclosing Scope ends or reset().
  template <class T>
  T* take_elements(Index count) {
    const std::size_t bytes =
        (static_cast<std::size_t>(count) * sizeof(T) + alignment - 1) / alignment * alignment;
    if (blocks_.empty() || used_ + bytes > blocks_[current_].bytes) {
      next_block(bytes);
    }
    T* memory = reinterpret_cast<T*>(blocks_[current_].memory.get() + used_);
    used_ += bytes;
    high_water_ = std::max(high_water_, before_ + used_);
    return memory;
  }
  /// The same as a view.
  template <class T, std::size_t Rank>
  View<T, Rank> take(const Shape<Rank>& shape) {
    Index count = 1;
    for (const Index extent : shape) { count *= extent; }
    return {take_elements<T>(count), shape};
  }

  /// Ends a step: everything taken is gone, and the capacity is one block of the high-water mark.
  void reset() {
    if (blocks_.size() > 1) {
      blocks_.clear();
      grow(high_water_ + high_water_ / 8);
    }
    current_ = used_ = before_ = 0;
  }

  /// Bytes: the most that was in use at a time, and what the arena holds.
  std::size_t high_water() const noexcept { return high_water_; }
  std::size_t capacity() const noexcept {
    std::size_t bytes = 0;
    for (const Block& block : blocks_) { bytes += block.bytes; }
    return bytes;
  }

  /// Gives back, at the end of a C++ scope, what was taken in it.
  class Scope {
  public:
    explicit Scope(Arena& arena) noexcept
        : arena_(arena), current_(arena.current_), used_(arena.used_), before_(arena.before_) {}
    ~Scope() {
      arena_.current_ = current_;
      arena_.used_ = used_;
      arena_.before_ = before_;
    }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

  private:
    Arena& arena_;
    std::size_t current_, used_, before_;
  };

private:
  struct Release {
    void operator()(std::byte* memory) const noexcept {
      ::operator delete (memory, std::align_val_t{alignment});
    }
  };
  struct Block {
    std::unique_ptr<std::byte, Release> memory;
    std::size_t bytes = 0;
  };

  void grow(std::size_t bytes) {
    bytes = (bytes + alignment - 1) / alignment * alignment;
    blocks_.push_back({std::unique_ptr<std::byte, Release>(static_cast<std::byte*>(
                           ::operator new (bytes, std::align_val_t{alignment}))),
                       bytes});
    detail::prefer_large_pages(blocks_.back().memory.get(), bytes);
  }
  void next_block(std::size_t bytes) {
    before_ = blocks_.empty() ? 0 : before_ + used_;
    used_ = 0;
    // Blocks left over by a Scope that has ended are reused when they are large enough.
    std::size_t next = blocks_.empty() ? 0 : current_ + 1;
    while (next < blocks_.size() && blocks_[next].bytes < bytes) { ++next; }
    if (next == blocks_.size()) {
      grow(std::max(bytes, std::max(capacity() / 2, std::size_t{1} << 16)));
    }
    current_ = next;
  }

  std::vector<Block> blocks_;
  std::size_t current_ = 0, used_ = 0, before_ = 0, high_water_ = 0;
};

}  // namespace simgr::SIMGR_ABI
