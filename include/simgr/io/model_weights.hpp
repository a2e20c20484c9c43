// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include <simgr/io/tensor_plan.hpp>

namespace simgr::SIMGR_ABI::io {

namespace detail {

/// The first element of an F32, F16 or BF16 tensor that is not finite, or -1.
inline Index first_not_finite(const TensorView& tensor) noexcept {
  const auto search = [&]<class Bits>(Bits exponent) -> Index {
    constexpr Index together = 4096;
    const Index count = tensor.size();
    for (Index begin = 0; begin < count; begin += together) {
      const Index end = std::min(begin + together, count);
      Bits any = 0;
      for (Index i = begin; i < end; ++i) {  // without a branch
        Bits bits;
        std::memcpy(&bits, tensor.bytes.data() + static_cast<std::size_t>(i) * sizeof bits,
                    sizeof bits);
        any = static_cast<Bits>(any | ((bits & exponent) == exponent));
      }
      for (Index i = begin; any != 0 && i < end; ++i) {
        Bits bits;
        std::memcpy(&bits, tensor.bytes.data() + static_cast<std::size_t>(i) * sizeof bits,
                    sizeof bits);
        if ((bits & exponent) == exponent) {
          return i;
        }
      }
    }
    return -1;
  };
  switch (tensor.dtype) {
  case Dtype::f32:
    return search(std::uint32_t{0x7f800000});
  case Dtype::bf16:
    return search(std::uint16_t{0x7f80});
  default:
    return search(std::uint16_t{0x7c00});
  }
}

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

/// Fills a flat block (parameter.hpp) with the weights of a checkpoint, widened to T. Tensors without
/// the prefix, rows of added tokens and adapters stay as they are.
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
    if (const Index at = detail::first_not_finite(*tensor.published); at >= 0) {
      return DataError("element " + std::to_string(at) + " is not a finite number",
                       {.file = folder.name(), .field = tensor.published->name});
    }
  }
  std::vector<T> scratch;
  for (const PlannedTensor& tensor : plan.value()) {
    const TensorView& view = *tensor.published;
    T* to = block.data() + tensor.offset;
    if (tensor.form == TensorForm::transposed) {
      scratch.resize(static_cast<std::size_t>(tensor.size));
      if (Failure failure = convert(view, scratch.data(), folder.name())) {
        return failure;
      }
      detail::transpose(scratch.data(), view.shape[0], view.shape[1], to);
    } else if (Failure failure = convert(view, to, folder.name())) {
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
