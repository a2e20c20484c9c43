// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <memory>

#include <simgr/core/config.hpp>

namespace simgr::SIMGR_ABI {

/// Scratch memory for callers on any number of threads, without locks: each takes one out of a
/// slot, or makes one where all are out, and puts it back. Once as many exist as are ever out at a
/// time, nothing is allocated; beyond 64 at a time each call makes its own and destroys it.
///
/// Errors  std::bad_alloc of a new T
template <class T>
class ScratchPool {
public:
  ScratchPool() = default;
  ScratchPool(const ScratchPool&) = delete;
  ScratchPool& operator=(const ScratchPool&) = delete;
  ~ScratchPool() {
    for (std::atomic<T*>& slot : slots_) { delete slot.load(); }
  }

  /// A scratch that is out; it goes back when this ends. Must not outlive the pool.
  class Lease {
  public:
    Lease(ScratchPool& pool, std::unique_ptr<T> scratch)
        : pool_(&pool), scratch_(std::move(scratch)) {}
    Lease(Lease&&) noexcept = default;
    ~Lease() {
      if (scratch_) {
        pool_->put_back(std::move(scratch_));
      }
    }
    T& operator*() const noexcept { return *scratch_; }
    T* operator->() const noexcept { return scratch_.get(); }

  private:
    ScratchPool* pool_;
    std::unique_ptr<T> scratch_;
  };

  Lease take() {
    for (std::atomic<T*>& slot : slots_) {
      if (slot.load(std::memory_order_relaxed) == nullptr) {
        continue;
      }
      if (T* scratch = slot.exchange(nullptr, std::memory_order_acquire)) {
        return {*this, std::unique_ptr<T>(scratch)};
      }
    }
    return {*this, std::make_unique<T>()};
  }

private:
  void put_back(std::unique_ptr<T> scratch) noexcept {
    for (std::atomic<T*>& slot : slots_) {
      T* empty = nullptr;
      if (slot.compare_exchange_strong(empty, scratch.get(), std::memory_order_release,
                                       std::memory_order_relaxed)) {
        scratch.release();
        return;
      }
    }
  }

  std::array<std::atomic<T*>, 64> slots_{};
};

}  // namespace simgr::SIMGR_ABI
