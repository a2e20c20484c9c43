// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include <simgr/io/tensor_plan.hpp>

namespace simgr::SIMGR_ABI::io {

namespace detail {

/// Turns a matrix over, a square of it at a time.   from [rows, cols] -> to [cols, rows]
template <class T>
void transpose(const T* from, Index rows, Index cols, T* to) noexcept {
  constexpr Index side = 32;
  for (Index r = 0; r < rows; r += side) {
    for (Index c = 0; c < cols; c += side) {
      for (Index i = r; i < std::min(r + side, rows); ++i) {
        for (Index j = c; j < std::min(c + side, cols); ++j) {
          to[j * rows + i] = from[i * cols + j];
        }
      }
    }
  }
}

}  // namespace detail

/// Fills a flat block (parameter.hpp) with the weights of a checkpoint, widened to T, or as BFloat16
/// where our tensor is: those of BF16 as they stand, others rounded. Tensors without the prefix, rows
/// of added tokens and adapters stay as they are.
///
/// @param block  float or double, [table.block_size]
///
/// Cost    two passes over the file, and memory of the largest transposed tensor (GPT-2)
/// Errors  those of try_plan_tensors; DataError with tensor and element: not a finite number. The
///         block is as it was
template <class T>
Failure try_load_parameters(const ModelFolder& folder, const LanguageModelFacts& facts,
                            const ParameterTable& table, std::span<T> block,
                            const WeightOptions& options = {}) {
  SIMGR_ASSERT(static_cast<Index>(block.size()) >= table.block_size, "a block of another layout");
  const auto plan = try_plan_tensors(folder, facts, table, options);
  if (!plan) {
    return plan.error();
  }
  for (const PlannedTensor& tensor : plan.value()) {
    if (const Index at = first_not_finite(*tensor.published); at >= 0) {
      return DataError("element " + std::to_string(at) + " is not a finite number",
                       {.file = folder.name(), .field = tensor.published->name});
    }
  }
  const auto fill = [&]<class Element>(const PlannedTensor& tensor, Element* to) -> Failure {
    const TensorView& view = *tensor.published;
    if (tensor.form != TensorForm::transposed) {
      return convert(view, to, folder.name());
    }
    std::vector<Element> scratch(static_cast<std::size_t>(tensor.size));
    Failure failure = convert(view, scratch.data(), folder.name());
    if (!failure) {
      detail::transpose(scratch.data(), view.shape[0], view.shape[1], to);
    }
    return failure;
  };
  for (const PlannedTensor& tensor : plan.value()) {
    T* const ours = block.data() + tensor.offset;
    if (Failure failure = tensor.storage == Storage::full
                              ? fill(tensor, ours + tensor.first)
                              : fill(tensor, reinterpret_cast<BFloat16*>(ours) + tensor.first)) {
      return failure;
    }
  }
  return std::nullopt;
}

template <class T>
void load_parameters(const ModelFolder& folder, const LanguageModelFacts& facts,
                     const ParameterTable& table, std::span<T> block,
                     const WeightOptions& options = {}) {
  if (Failure failure = try_load_parameters(folder, facts, table, block, options)) {
    raise(*failure);
  }
}

}  // namespace simgr::SIMGR_ABI::io
