// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <optional>
#include <span>
#include <string>

#include <simgr/core/parameter.hpp>

namespace simgr::SIMGR_ABI::train {

/// Euclidean norm of a whole block, summed in double in a fixed order: the same bits wherever the
/// block lies. Not finite when an element is not (or, in double only, when a square overflows).
template <class T>
double global_norm(std::span<T> block) noexcept {
  constexpr std::size_t lanes = 16;
  double sums[lanes] = {};
  std::size_t i = 0;
  for (; i + lanes <= block.size(); i += lanes) {
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      const double value = static_cast<double>(block[i + lane]);
      sums[lane] += value * value;
    }
  }
  for (std::size_t lane = 0; i < block.size(); ++i, ++lane) {
    const double value = static_cast<double>(block[i]);
    sums[lane] += value * value;
  }
  for (std::size_t half = lanes / 2; half > 0; half /= 2) {
    for (std::size_t lane = 0; lane < half; ++lane) { sums[lane] += sums[lane + half]; }
  }
  return std::sqrt(sums[0]);
}

/// What a block of norm `norm` is multiplied by to have at most the norm `limit`; 1 where it has,
/// and where `limit` is 0 (no clipping).
inline double clip_factor(double norm, double limit) noexcept {
  // 1e-6 as in torch.nn.utils.clip_grad_norm_
  return limit > 0 ? std::min(1.0, limit / (norm + 1e-6)) : 1.0;
}

/// Scales a block down to the norm `limit` where it is longer, and returns the norm it had.
/// A training step scales inside OptimizerState::step instead, which saves a pass.
template <class T>
double clip_norm(std::span<T> block, double limit) noexcept {
  const double norm = global_norm(block);
  if (const double factor = clip_factor(norm, limit); factor < 1) {
    for (T& value : block) { value *= static_cast<T>(factor); }
  }
  return norm;
}

/// An element that is NaN or infinite: which tensor, and where in it.
struct NotFinite {
  std::string tensor;
  Index index = 0;  // from the start of the tensor, row-major
  double value = 0;

  std::string sentence() const {
    return tensor + "[" + std::to_string(index) + "] is " +
           (std::isnan(value) ? "NaN"
            : value > 0       ? "infinite"
                              : "minus infinite");
  }
};

/// The first element of the trained part of a block that is not finite, or nothing.
template <class T>
std::optional<NotFinite> find_not_finite(const ParameterTable& table, std::span<T> block) {
  for (const TensorEntry& tensor : table.trained_tensors()) {
    const T* values = block.data() + tensor.offset;
    for (Index i = 0; i < tensor.size; ++i) {
      if (!std::isfinite(values[i])) {
        return NotFinite{tensor.name, i, static_cast<double>(values[i])};
      }
    }
  }
  return std::nullopt;
}

}  // namespace simgr::SIMGR_ABI::train
