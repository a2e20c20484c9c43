// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include <simgr/core/error.hpp>
#include <simgr/core/types.hpp>

namespace simgr::SIMGR_ABI::io {

/// Everything that is wrong with the tensors of a file, said at once.
class ProblemList {
public:
  void add(std::string_view tensor, std::string_view sentence) {
    if (++count_ > most) {
      return;
    }
    text_ += text_.empty() ? "" : "; ";
    text_ += tensor;
    text_ += ": ";
    text_ += sentence;
  }

  /// @param what  behind "3 tensors do" and "1 tensor does": "not match the model"
  ///
  /// -> nothing where nothing was wrong
  Failure error(const std::string& file, const std::string& what) const {
    if (count_ == 0) {
      return std::nullopt;
    }
    const std::string more =
        count_ > most ? "; and " + std::to_string(count_ - most) + " more" : std::string();
    return DataError(std::to_string(count_) + (count_ == 1 ? " tensor does " : " tensors do ") +
                         what + ": " + text_ + more,
                     {.file = file});
  }

private:
  static constexpr Index most = 10'000;  // of a hostile file

  std::string text_;
  Index count_ = 0;
};

}  // namespace simgr::SIMGR_ABI::io
