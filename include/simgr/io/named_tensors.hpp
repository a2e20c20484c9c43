// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include <simgr/io/model_folder.hpp>
#include <simgr/io/model_weights.hpp>
#include <simgr/io/problem_list.hpp>

namespace simgr::SIMGR_ABI::io {

/// A tensor of a checkpoint by its name, and where its elements go.
template <class T>
struct NamedTensor {
  std::string name;
  std::vector<Index> shape;
  T* to;
};

/// Fills tensors from a checkpoint that has them under these names, widened to T.
///
/// @param whole  whether it may have no others
/// @param what   for messages: "3 tensors do " + what
///
/// Errors  one DataError that lists every tensor that is missing, of another shape or of another
///         type, and where `whole` every one too many; DataError with tensor and element: not a finite
///         number. Then nothing was written
template <class T>
Failure try_load_named(const ModelFolder& folder, std::span<const NamedTensor<T>> tensors,
                       bool whole, const std::string& what) {
  ProblemList problems;
  std::vector<const TensorView*> found;
  for (const NamedTensor<T>& tensor : tensors) {
    const TensorView* view = folder.find(tensor.name);
    found.push_back(view);
    const std::string expected = "expected " + shape_text(tensor.shape) + ", file has ";
    if (view == nullptr) {
      problems.add(tensor.name, expected + "none");
    } else if (view->shape != tensor.shape) {
      problems.add(tensor.name, expected + shape_text(view->shape));
    } else if (view->dtype != Dtype::f32 && view->dtype != Dtype::f16 &&
               view->dtype != Dtype::bf16) {
      problems.add(tensor.name,
                   "expected F32, F16 or BF16, file has " + std::string(name_of(view->dtype)));
    }
  }
  std::vector<const TensorView*> known = found;
  std::sort(known.begin(), known.end());
  for (const ModelFolder::Tensor& tensor : folder.tensors()) {
    if (whole && !std::binary_search(known.begin(), known.end(), tensor.view)) {
      problems.add(data::printable(tensor.view->name, 120),
                   "not expected, file has " + shape_text(tensor.view->shape));
    }
  }
  if (Failure failure = problems.error(folder.name(), what)) {
    return failure;
  }
  for (const TensorView* view : found) {
    if (Failure failure = detail::check_finite(folder, *view)) {
      return failure;
    }
  }
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (Failure failure = convert(*found[i], tensors[i].to, folder.name())) {
      return failure;
    }
  }
  return std::nullopt;
}

}  // namespace simgr::SIMGR_ABI::io
