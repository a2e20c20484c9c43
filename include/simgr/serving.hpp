// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <mutex>
#include <utility>

#include <simgr/core/config.hpp>

namespace simgr::SIMGR_ABI {

/// The place of the model that serves. Any thread takes it, any thread puts in another, and a
/// request is answered to its end by the model it took:
///
///   const auto model = slot.load();
///   auto list = model->recommend(history, 10);
///
/// A model that was replaced lives until the last request lets go of it, and is destroyed there.
/// Recommending itself never locks; `load` and `store` hold a mutex while they copy one pointer,
/// and a thread may keep what it took for as many requests as it likes.
///
/// std::atomic<std::shared_ptr> would do, but that of libstdc++ 12 gives its inner lock back with
/// relaxed order, a race that the thread sanitizer reports.
template <class Model>
class ModelSlot {
public:
  explicit ModelSlot(std::shared_ptr<const Model> model = nullptr) noexcept
      : model_(std::move(model)) {}
  ModelSlot(const ModelSlot&) = delete;
  ModelSlot& operator=(const ModelSlot&) = delete;

  std::shared_ptr<const Model> load() const {
    const std::lock_guard lock(mutex_);
    return model_;
  }
  void store(std::shared_ptr<const Model> model) {
    const std::lock_guard lock(mutex_);
    model_.swap(model);
  }  // the one before is let go of here, with the mutex free again: parameters outlive locals

private:
  mutable std::mutex mutex_;
  std::shared_ptr<const Model> model_;
};

}  // namespace simgr::SIMGR_ABI
