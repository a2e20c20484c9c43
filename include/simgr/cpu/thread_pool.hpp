// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <atomic>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <type_traits>
#include <utility>

// Before the rest of Eigen, whose core it brings in without the compiler's false alarms.
// clang-format off
#include <simgr/cpu/eigen.hpp>
// clang-format on

#include <unsupported/Eigen/CXX11/ThreadPool>

#include <simgr/core/error.hpp>
#include <simgr/core/executor.hpp>

namespace simgr::SIMGR_ABI::cpu {

/// An Executor over Eigen's thread pool, for hosts without a pool of their own. The library never
/// makes one by itself.
///
/// The caller takes part, so `threads` counts it: a pool of 1 starts no thread. Several threads may
/// call for_each at once, and f may call for_each again. The destructor joins the threads.
///
/// Cost    one small heap object and threads - 1 tasks a call; idle threads sleep
/// Errors  ConfigError unless 1 <= threads <= 1024. What f throws reaches the caller of for_each:
///         the exception of the lowest index that threw; indices not yet begun are left out.
class ThreadPool {
public:
  explicit ThreadPool(Index threads) : threads_(threads) {
    if (threads < 1 || threads > 1024) {
      SIMGR_THROW(ConfigError("threads: expected 1 to 1024, found " + std::to_string(threads)));
    }
    if (threads > 1) {
      pool_ = std::make_unique<Eigen::ThreadPool>(static_cast<int>(threads - 1),
                                                  /*allow_spinning=*/false);
    }
  }

  /// Threads that work on a call, the caller's included.
  Index threads() const noexcept { return threads_; }

  /// Runs f(0) … f(count - 1), each once, on the threads of the pool and on this one, and returns
  /// when all have ended.
  template <class F>
  void for_each(Index count, F&& f) {
    if (pool_ == nullptr || count < 2) {
      Serial{}.for_each(count, f);
      return;
    }
    using Body = std::remove_reference_t<F>;
    auto work = std::make_shared<Work>();
    work->count = count;
    work->body = const_cast<void*>(static_cast<const void*>(std::addressof(f)));
    work->call = [](void* body, Index i) { (*static_cast<Body*>(body))(i); };
    for (Index helper = 1; helper < std::min(threads_, count); ++helper) {
      pool_->Schedule([work] { work->run(); });
    }
    work->run();
    work->wait();
#if defined(__cpp_exceptions)
    if (work->failure) {  // moved out, so that no late helper is the one to destroy it
      std::rethrow_exception(std::move(work->failure));
    }
#endif
  }

private:
  /// One call of for_each. Owned by the call and by every helper: a helper that comes late finds no
  /// index left and never touches the body, so nobody waits for one that has not begun.
  struct Work {
    Index count = 0;
    void* body = nullptr;
    void (*call)(void*, Index) = nullptr;
    std::atomic<Index> next{0};
    std::atomic<Index> ended{0};
    std::atomic<bool> failed{false};
#if defined(__cpp_exceptions)
    std::mutex failure_mutex;
    Index failure_index = 0;
    std::exception_ptr failure;
#endif

    void run() noexcept {
      for (Index i = next.fetch_add(1); i < count; i = next.fetch_add(1)) {
        if (!failed.load()) {
          attempt(i);
        }
        if (ended.fetch_add(1) + 1 == count) {
          ended.notify_all();
        }
      }
    }

    void attempt(Index i) noexcept {
#if defined(__cpp_exceptions)
      try {
        call(body, i);
      } catch (...) {
        const std::lock_guard lock(failure_mutex);
        if (!failure || i < failure_index) {
          failure = std::current_exception();
          failure_index = i;
        }
        failed.store(true);
      }
#else
      call(body, i);
#endif
    }

    void wait() noexcept {
      for (Index now = ended.load(); now < count; now = ended.load()) { ended.wait(now); }
    }
  };

  Index threads_;
  std::unique_ptr<Eigen::ThreadPool> pool_;
};

static_assert(Executor<ThreadPool>);

}  // namespace simgr::SIMGR_ABI::cpu
