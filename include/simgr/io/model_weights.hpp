// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <type_traits>
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

/// Errors  DataError with tensor and element: not a finite number
inline Failure check_finite(const ModelFolder& folder, const TensorView& tensor) {
  const Index at = first_not_finite(tensor);
  return at < 0 ? Failure{}
                : DataError("element " + std::to_string(at) + " is not a finite number",
                            {.file = folder.name(), .field = tensor.name});
}

/// What `tensor` holds of our tensor that begins at `ours`.
template <class T>
Failure fill(const ModelFolder& folder, const PlannedTensor& tensor, T* ours) {
  if constexpr (!std::is_same_v<T, BFloat16>) {
    if (tensor.storage == Storage::bf16) {
      return fill(folder, tensor, reinterpret_cast<BFloat16*>(ours));
    }
  }
  const TensorView& view = *tensor.published;
  const bool turns = tensor.form == TensorForm::transposed;
  std::vector<T> scratch(static_cast<std::size_t>(turns ? tensor.size : 0));
  T* const out = turns ? scratch.data() : ours + tensor.first;
  // What was copied of a mapped file is given back, so that it and its copy are not in memory at once.
  constexpr std::size_t together = std::size_t{1} << 21;  // bytes
  TensorView piece{view.name, view.dtype, {}, {}};
  for (std::size_t at = 0; at < view.bytes.size(); at += together) {
    piece.bytes = view.bytes.subspan(at, std::min(together, view.bytes.size() - at));
    const Index first = static_cast<Index>(at) / bytes_of(view.dtype);
    if (Failure failure = convert(piece, out + first, folder.name())) {
      return failure;
    }
    folder.release(piece.bytes);
  }
  if (turns) {
    transpose(out, view.shape[0], view.shape[1], ours + tensor.first);
  }
  return std::nullopt;
}

}  // namespace detail

/// Fills a flat block (parameter.hpp) with the weights of a checkpoint, widened to T, or as BFloat16
/// where our tensor is: those of BF16 as they stand, others rounded. Tensors without the prefix, rows
/// of added tokens and adapters stay as they are.
///
/// @param block  float or double, [table.block_size]
///
/// Cost    two passes over the file, and memory of the largest transposed tensor (GPT-2); of a mapped file
///         what is not copied yet
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
    if (Failure failure = detail::check_finite(folder, *tensor.published)) {
      return failure;
    }
  }
  for (const PlannedTensor& tensor : plan.value()) {
    if (Failure failure = detail::fill(folder, tensor, block.data() + tensor.offset)) {
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
