// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <type_traits>

#include <simgr/core/prompt.hpp>
#include <simgr/core/view.hpp>

namespace simgr::SIMGR_ABI {

/// The sizes of a catalogue that decide the shapes of tensors. Models fill them in, not users.
struct CatalogueSizes {
  Index items = 0;
  Index digits = 0;      // of a semantic id; 0 without ids
  Index table_rows = 0;  // of the table of all digits: Σ codes
  Index text_width = 0;  // of a text vector; 0 where the model reads none
  Index item_width = 0;  // of an item's vector from a model trained before; 0 without
  Index words = 0;       // rows of a language model's table of words; 0 without a prompt
  Index around = 0;      // words of a prompt that stand around its items
};

/// What the stages see of a catalogue. Owns nothing.
template <class S = Host>
struct ItemsView {
  Index items = 0;
  Matrix<const std::int32_t, S> digit_rows;  // [items, digits], rows of the digit table; or empty
  std::span<const Index> digit_starts{};     // [digits + 1]: where the rows of each digit begin
  Matrix<const float, S> text_vectors{};     // [items, text_width]; or empty
  Matrix<const float, S> item_vectors{};     // [items, item_width]; or empty
  std::span<const ItemId> unseen{};          // ascending: those that no training history has
  PromptView prompt{};                       // of a language model
};

/// Vectors of the catalogue in the scalar that a model computes in: as they are, or a copy.
template <class T, class S, class Ctx>
Matrix<const T, S> in_scalar(Matrix<const float, S> vectors, Ctx& ctx) {
  if constexpr (std::is_same_v<T, float>) {
    return vectors;
  } else {
    const Matrix<T, S> copied = ctx.template take<T>(vectors.rows(), vectors.cols());
    std::copy(vectors.begin(), vectors.end(), copied.begin());
    return copied;
  }
}

}  // namespace simgr::SIMGR_ABI
