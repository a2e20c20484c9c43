// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include <simgr/core/fields.hpp>
#include <simgr/io/checkpoint.hpp>
#include <simgr/io/model_file.hpp>
#include <simgr/train/saved_run.hpp>

namespace simgr::SIMGR_ABI::train {

namespace detail {

/// The tensors of a model that its file has: what training alone reads comes last and is left out.
inline ParameterTable served_tensors(const ParameterTable& table) {
  constexpr std::string_view of_training = "training/";
  ParameterTable served = table;
  while (!served.tensors.empty() && served.tensors.back().name.starts_with(of_training)) {
    const TensorEntry& last = served.tensors.back();
    served.block_size = std::min(served.block_size, last.offset);
    served.trained_size = std::min(served.trained_size, last.offset);
    served.tensors.pop_back();
  }
  return served;
}

/// Whether the items that two catalogues have in common stand in the same places and are spelt alike.
inline Failure match_items(const Catalogue& own, const Catalogue& theirs, const std::string& file) {
  const Index common = std::min(own.items, theirs.items);
  const auto differs = [&](Index item, const char* how, const char* field) {
    return DataError("item " + std::to_string(item) + how + ": the weights are not of these items",
                     {.file = file, .field = field});
  };
  if (!own.keys.empty() && !theirs.keys.empty()) {
    const auto end = own.keys.begin() + common;
    const auto found = std::mismatch(own.keys.begin(), end, theirs.keys.begin()).first;
    if (found != end) {
      return differs(found - own.keys.begin(), " has another key there", "catalogue/keys");
    }
  }
  if (own.ids.empty() || theirs.ids.empty()) {
    return std::nullopt;
  }
  if (own.ids.codes_per_digit != theirs.ids.codes_per_digit) {
    return DataError("its semantic ids have other codes than these",
                     {.file = file, .field = "catalogue/codes"});
  }
  const auto &ours = own.ids.codes.values, &others = theirs.ids.codes.values;
  const auto end = ours.begin() + common * own.ids.digits();
  const auto found = std::mismatch(ours.begin(), end, others.begin()).first;
  if (found != end) {
    return differs((found - ours.begin()) / own.ids.digits(), " has another semantic id there",
                   "catalogue/codes");
  }
  return std::nullopt;
}

}  // namespace detail

/// Begins a training with the weights of a model file in place of drawn ones: to go on where a
/// training ended, or to train on with new interactions. Of two catalogues the first items have to be
/// the same, with the same semantic ids; more of them may follow where the model has no row of its
/// own for each. Weights alone are taken: rate, dropout and the rest are those of the new training,
/// whose optimiser remembers nothing.
///
/// @param model  fresh from its constructor, perhaps with tasks, of which a file says nothing
///
/// Results  what the file says otherwise of the Config, such as "encoder.dropout was 0.1, is 0.2"; often
///          empty
/// Errors   those of a damaged file; DataError: a model of other types, other items, other codes, or
///          tensors of other shapes, all of them listed. The model is as it was.
template <class Model>
Result<std::string> try_warm_start(Model& model, const std::string& path) {
  auto read = io::Checkpoint::try_read(path);
  if (!read) {
    return read.error();
  }
  const io::Checkpoint& file = read.value();
  if (Failure failure = io::ModelFile<Model>::check_type(file)) {
    return *std::move(failure);
  }
  auto catalogue = io::try_read_catalogue(file);
  if (!catalogue) {
    return catalogue.error();
  }
  if (Failure failure = detail::match_items(model.catalogue(), *catalogue, path)) {
    return *std::move(failure);
  }
  const ParameterTable table = detail::served_tensors(model.table());
  if (Failure failure = io::try_load_parameters(file, table, model.weights())) {
    return *std::move(failure);
  }
  model.refresh();
  std::string differences;
  add_differences(differences, file, io::detail::config_prefix, list_fields(model.config()),
                  list_fields(typename Model::Config{}));
  return differences;
}

template <class Model>
std::string warm_start(Model& model, const std::string& path) {
  return try_warm_start(model, path).value_or_raise();
}

}  // namespace simgr::SIMGR_ABI::train
