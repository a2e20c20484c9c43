// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <simgr/core/float_formats.hpp>
#include <simgr/core/parameter.hpp>
#include <simgr/io/model_weights.hpp>

namespace simgr::SIMGR_ABI::io {

namespace detail {

/// A layer without its narrow tensors.
template <class Layer>
struct WithoutNarrow {
  using Config = typename Layer::Config;
  template <class T, class S = Host>
  using Params = typename Layer::template Params<T, S>;

  template <class F, class... P>
  static void for_each_parameter(const Config& c, F&& f, P&... p) {
    auto full = [&](auto spec, auto&... views) {
      if (spec.storage == Storage::full) {
        f(spec, views...);
      }
    };
    Layer::for_each_parameter(c, full, p...);
  }
};

/// Points narrow views to where files have them.
struct PointToFile {
  const ParameterTable& table;
  std::span<const PlannedTensor> plan;

  template <std::size_t Rank>
  void operator()(const Spec<Rank>& spec, View<BFloat16, Rank>& view) const {
    const auto ours = std::find_if(table.tensors.begin(), table.tensors.end(),
                                   [&](const TensorEntry& it) { return it.name == spec.name; });
    const auto theirs = std::find_if(plan.begin(), plan.end(), [&](const PlannedTensor& it) {
      return it.offset == ours->offset;
    });
    auto* const bytes = const_cast<std::byte*>(theirs->published->bytes.data());
    view = {reinterpret_cast<BFloat16*>(bytes), spec.shape};
  }
  template <std::size_t Rank, class T>
  void operator()(const Spec<Rank>&, View<T, Rank>&) const {}
};

}  // namespace detail

/// The weights of a published model, of which the narrow ones stay where they lie in its files: no copy
/// is made, and processes that serve the same folder share them. Nothing writes to them, for they are
/// frozen.
template <class Layer, class T = float>
struct MappedWeights {
  ModelFolder folder;
  ParameterTable table;                         // of the other tensors
  std::vector<T> block;                         // [table.block_size]
  typename Layer::template Params<T> params{};  // of all
};

/// Opens the weights of `Layer`. Adapters are zero until they are initialised or read.
///
/// Cost    a pass over the files; memory of the tensors that are not narrow
/// Errors  those of try_plan_tensors; DataError: a narrow tensor of ours that the file has in another
///         type, in parts, transposed, with tokens added to it or at an odd place, so that it has to be
///         copied (model_weights.hpp); DataError with tensor and element: not a finite number
template <class Layer, class T = float>
Result<MappedWeights<Layer, T>> try_map_weights(ModelFolder folder, const LanguageModelFacts& facts,
                                                const typename Layer::Config& config,
                                                const WeightOptions& options = {}) {
  const ParameterTable whole = describe<Layer>(config);
  const auto plan = try_plan_tensors(folder, facts, whole, options);
  if (!plan) {
    return plan.error();
  }
  ProblemList problems;
  for (const PlannedTensor& tensor : plan.value()) {
    const TensorView& view = *tensor.published;
    const bool as_ours = tensor.form == TensorForm::as_it_stands ||
                         (tensor.form == TensorForm::token_rows && tensor.added == 0);
    const bool aligned =
        reinterpret_cast<std::uintptr_t>(view.bytes.data()) % sizeof(BFloat16) == 0;
    if (tensor.storage == Storage::bf16 && !(view.dtype == Dtype::bf16 && as_ours && aligned)) {
      problems.add(view.name, "expected BF16 in the order of ours, file has " +
                                  std::string(name_of(view.dtype)));
    }
  }
  if (Failure failure = problems.error(folder.name(), "not lie in the file as in memory")) {
    return *std::move(failure);
  }
  for (const PlannedTensor& tensor : plan.value()) {
    if (Failure failure = detail::check_finite(folder, *tensor.published)) {
      return *std::move(failure);
    }
  }
  MappedWeights<Layer, T> weights{
      std::move(folder), describe<detail::WithoutNarrow<Layer>>(config), {}, {}};
  weights.block.resize(static_cast<std::size_t>(weights.table.block_size));
  for (const PlannedTensor& tensor : plan.value()) {
    if (tensor.storage == Storage::bf16) {
      continue;
    }
    const auto ours = std::find_if(whole.tensors.begin(), whole.tensors.end(),
                                   [&](const auto& it) { return it.offset == tensor.offset; });
    const auto kept = std::find_if(weights.table.tensors.begin(), weights.table.tensors.end(),
                                   [&](const TensorEntry& it) { return it.name == ours->name; });
    if (Failure failure =
            detail::fill(weights.folder, tensor, weights.block.data() + kept->offset)) {
      return *std::move(failure);
    }
  }
  weights.params = bind<detail::WithoutNarrow<Layer>>(config, weights.block.data());
  detail::PointToFile point{whole, plan.value()};
  Layer::for_each_parameter(config, point, weights.params);
  return weights;
}

}  // namespace simgr::SIMGR_ABI::io
