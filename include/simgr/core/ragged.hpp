// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <span>
#include <vector>

#include <simgr/core/view.hpp>

namespace simgr::SIMGR_ABI {

/// Sequences of unequal length, one after another, and where each begins. No padding, no masks.
/// Owns nothing; row s is values[offsets[s] … offsets[s + 1]).
template <class T>
struct RaggedView {
  std::span<const T> values;  // [tokens]
  Offsets offsets;            // [sequences + 1]

  Index sequences() const noexcept {
    return offsets.empty() ? 0 : static_cast<Index>(offsets.size()) - 1;
  }
  Index tokens() const noexcept { return static_cast<Index>(values.size()); }
  std::span<const T> operator[](Index sequence) const noexcept {
    SIMGR_ASSERT(sequence >= 0 && sequence < sequences(), "sequence out of range");
    const auto i = static_cast<std::size_t>(sequence);
    return values.subspan(static_cast<std::size_t>(offsets[i]),
                          static_cast<std::size_t>(offsets[i + 1] - offsets[i]));
  }
};

/// The same, owning its memory.
template <class T>
struct Ragged {
  std::vector<T> values;
  std::vector<Index> offsets{0};

  Index sequences() const noexcept { return static_cast<Index>(offsets.size()) - 1; }
  Index tokens() const noexcept { return static_cast<Index>(values.size()); }
  std::span<const T> operator[](Index sequence) const noexcept { return view()[sequence]; }
  RaggedView<T> view() const noexcept { return {values, offsets}; }
  operator RaggedView<T>() const noexcept { return view(); }

  void push_back(std::span<const T> sequence) {
    values.insert(values.end(), sequence.begin(), sequence.end());
    offsets.push_back(tokens());
  }
  /// Empties both without giving memory back.
  void clear() noexcept {
    values.clear();
    offsets.resize(1);
  }
};

/// How packed sequences lie: where each begins, and whether all but the first go on where the first one
/// ends. Then the first is computed once for all: a prompt's beginning.
struct Packing {
  Offsets offsets;  // [sequences + 1]
  bool shared = false;

  Packing() = default;
  template <std::convertible_to<Offsets> O>
  Packing(const O& all, bool first_is_shared = false) : offsets(all), shared(first_is_shared) {}

  std::size_t sequences() const noexcept { return offsets.empty() ? 0 : offsets.size() - 1; }
  Index length(std::size_t s) const noexcept { return offsets[s + 1] - offsets[s]; }
  /// Tokens of the first sequence that stand before those of sequence s.
  Index before(std::size_t s) const noexcept { return shared && s > 0 ? offsets[1] : 0; }
  /// Those that stand there for all, or 0.
  Index shared_tokens() const noexcept { return shared ? offsets[1] : 0; }
};

}  // namespace simgr::SIMGR_ABI
