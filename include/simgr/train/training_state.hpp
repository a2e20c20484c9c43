// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <simgr/core/fields.hpp>
#include <simgr/io/checkpoint.hpp>
#include <simgr/io/model_file.hpp>
#include <simgr/train/saved_run.hpp>
#include <simgr/train/trainer.hpp>

// A training run between two steps, as a file. It is a model file (the weights of that moment) with
// more groups and numbers:
//
//   moment_0/…, moment_1/…              the optimiser's memory of the trained weights
//   master/…                            what they are rounded from, in mixed precision
//   average/…                           their moving average, where there is one
//   best/…                              those of the best epoch, where there is one
//   bank/keys                           keys of encoded items, stale as they are
//   progress/integers, progress/reals   the numbers of StateNumbers
//
// Random numbers need nothing: they are functions of the seed and of these numbers.

namespace simgr::SIMGR_ABI::train {

namespace detail {

inline constexpr std::string_view option_prefix = "simgr.fit.";
inline constexpr std::string_view note_prefix = "simgr.before.";
inline constexpr const char* data_key = "simgr.data";
inline constexpr const char* relations_key = "simgr.relations";

/// What of a split decides the course of a run.
inline std::string fingerprint(const data::Split& split) {
  data::Fingerprint print;
  const auto add = [&](const Ragged<ItemId>& sequences) {
    for (const Index offset : sequences.offsets) { print.add(static_cast<std::uint64_t>(offset)); }
    for (const ItemId item : sequences.values) { print.add(static_cast<std::uint64_t>(item)); }
  };
  print.add(static_cast<std::uint64_t>(split.items));
  add(split.train);
  add(split.validation.histories);
  for (const ItemId item : split.validation.targets) {
    print.add(static_cast<std::uint64_t>(item));
  }
  return print.hex();
}

inline std::string fingerprint(const Relations& relations) {
  data::Fingerprint print;
  for (const Ragged<ItemId>* lists : {&relations.collaborative, &relations.semantic}) {
    for (const Index offset : lists->offsets) { print.add(static_cast<std::uint64_t>(offset)); }
    for (const ItemId item : lists->values) { print.add(static_cast<std::uint64_t>(item)); }
  }
  return print.hex();
}

/// Whether a model is a composition of stages, with a ModelFile, or one class with files of its own.
template <class Model>
inline constexpr bool of_stages = requires {
  typename Model::Parts;
};

/// The numbers of a run that are not blocks, as two lists.
struct StateNumbers {
  std::vector<std::int64_t> integers;
  std::vector<double> reals;

  static StateNumbers of(TrainingRun& trainer) {
    const auto& progress = trainer.progress();
    const EarlyStoppingState& stopping = trainer.stopping().state();
    return {{progress.epoch, progress.step, progress.batches, progress.rows, progress.tokens,
             trainer.optimizer().steps(), stopping.best_epoch, stopping.waited,
             trainer.average() ? trainer.average()->updates() : 0},
            {progress.loss, progress.seconds, progress.all_seconds, stopping.best}};
  }
  void restore(TrainingRun& trainer) const {
    trainer.progress() = {integers[0], integers[1], integers[2], integers[3],
                          integers[4], reals[0],    reals[1],    reals[2]};
    trainer.optimizer().set_steps(integers[5]);
    trainer.stopping() =
        EarlyStopping({trainer.options().patience, 0.0}, {integers[6], reals[3], integers[7]});
    if (trainer.average()) {
      trainer.average()->set_updates(integers[8]);
    }
  }
};

}  // namespace detail

/// What decides the course of a run besides, such as the settings of a stage before it.
struct RunNotes {
  std::vector<FieldText> fields, usual;  // usual: of a run that notes none
};

/// Writes the state of a run between two steps: the old file or the new one, never half.
///
/// @param trainer  a Trainer, or another TrainingRun with model()
///
/// Errors  those of CheckpointWriter::try_write
template <class Run>
Failure try_save_training_state(Run& trainer, const std::string& path, const RunNotes& notes = {}) {
  io::CheckpointWriter writer;
  const auto& model = trainer.model();
  using Model = std::remove_cvref_t<decltype(model)>;
  if constexpr (detail::of_stages<Model>) {
    io::ModelFile<Model>::add_to(writer, model);
  } else {
    model.add_to(writer);
  }
  writer.set(detail::data_key, detail::fingerprint(trainer.split()));
  if constexpr (requires { requires Model::learns_neighbours; }) {
    writer.set(detail::relations_key, detail::fingerprint(model.catalogue().relations));
  }
  for (const FieldText& field : list_fields(trainer.options())) {
    writer.set(std::string(detail::option_prefix) + field.name, field.value);
  }
  for (const FieldText& field : notes.fields) {
    writer.set(std::string(detail::note_prefix) + field.name, field.value);
  }
  const auto numbers = detail::StateNumbers::of(trainer);
  writer.add_copy("progress/integers", {std::ssize(numbers.integers)},
                  std::span<const std::int64_t>(numbers.integers));
  writer.add_copy("progress/reals", {std::ssize(numbers.reals)},
                  std::span<const double>(numbers.reals));
  const ParameterTable& table = model.table();
  for (Index i = 0; i < trainer.optimizer().moment_count(); ++i) {
    io::add_parameters(writer, table, std::as_const(trainer.optimizer()).moments(i),
                       detail::moment_group(i), io::Covers::trained);
  }
  if (const auto masters = std::as_const(trainer.optimizer()).masters(); !masters.empty()) {
    io::add_parameters(writer, table, masters, "master", io::Covers::trained);
  }
  if (trainer.average()) {
    io::add_parameters(writer, table, std::as_const(*trainer.average()).average(), "average",
                       io::Covers::trained);
  }
  if (!trainer.best_weights().empty()) {
    io::add_parameters(writer, table, trainer.best_weights(), "best", io::Covers::trained);
  }
  if constexpr (detail::of_stages<Model>) {
    if (!trainer.bank().empty()) {
      writer.add("bank/keys", {trainer.bank().rows, trainer.bank().cols},
                 std::span<const float>(trainer.bank().values));
    }
  }
  return writer.try_write(path);
}

template <class Run>
void save_training_state(Run& trainer, const std::string& path, const RunNotes& notes = {}) {
  if (const Failure failure = try_save_training_state(trainer, path, notes)) {
    raise(*failure);
  }
}

/// Puts a trainer, fresh from its constructor, where the saved one stood: what follows has the bits
/// of the run that was never interrupted.
///
/// Errors  those of a damaged file; DataError that lists what differs: the model's types or config,
///         its semantic ids, the options, the data, the notes. The trainer is as it was.
template <class Run>
Failure try_load_training_state(Run& trainer, const std::string& path, const RunNotes& notes = {}) {
  auto read = io::Checkpoint::try_read(path);
  if (!read) {
    return read.error();
  }
  const io::Checkpoint& state = read.value();
  const auto& model = trainer.model();
  using Model = std::remove_cvref_t<decltype(model)>;
  if (Failure failure = [&] {
        if constexpr (detail::of_stages<Model>) {
          return io::ModelFile<Model>::check_type(state);
        } else {
          return io::check_head(state, Model::type());
        }
      }()) {
    return failure;
  }
  std::string differences;
  if constexpr (detail::of_stages<Model>) {
    add_differences(differences, state, "", {{io::loss_key, io::ModelFile<Model>::loss(), {}, {}}},
                    {});
  }
  using Config = std::remove_cvref_t<decltype(model.config())>;
  add_differences(differences, state, io::detail::config_prefix, list_fields(model.config()),
                  list_fields(Config{}));
  add_differences(differences, state, detail::option_prefix, list_fields(trainer.options()),
                  list_fields(FitOptions{}));
  add_differences(differences, state, detail::note_prefix, notes.fields, notes.usual);
  auto catalogue = io::try_read_catalogue(state);
  if (!catalogue) {
    return catalogue.error();
  }
  if (catalogue->ids.codes.values != model.catalogue().ids.codes.values ||
      catalogue->ids.codes_per_digit != model.catalogue().ids.codes_per_digit) {
    differences += std::string(differences.empty() ? "" : "; ") + "the semantic ids are others";
  }
  if (catalogue->text_vectors.values != model.catalogue().text_vectors.values) {
    differences += std::string(differences.empty() ? "" : "; ") + "the text vectors are others";
  }
  if (catalogue->item_vectors.values != model.catalogue().item_vectors.values) {
    differences += std::string(differences.empty() ? "" : "; ") + "the item vectors are others";
  }
  if (!read_alike(catalogue->prompt, model.catalogue().prompt)) {
    differences += std::string(differences.empty() ? "" : "; ") + "the prompt is another";
  }
  if constexpr (requires { requires Model::learns_neighbours; }) {
    const std::string* relations = state.find_text(detail::relations_key);
    if (relations == nullptr || *relations != detail::fingerprint(model.catalogue().relations)) {
      differences +=
          std::string(differences.empty() ? "" : "; ") + "the neighbours of items are others";
    }
  }
  const std::string* data = state.find_text(detail::data_key);
  if (data == nullptr || *data != detail::fingerprint(trainer.split())) {
    differences += std::string(differences.empty() ? "" : "; ") + "the data are others";
  }
  if (!differences.empty()) {
    return DataError("the run that was saved differs from this one: " + differences,
                     {.file = path});
  }

  // Everything is read before anything is assigned.
  auto numbers = detail::StateNumbers::of(trainer);
  const Index integer_shape[] = {std::ssize(numbers.integers)};
  const Index real_shape[] = {std::ssize(numbers.reals)};
  auto integers = state.try_read<std::int64_t>("progress/integers", integer_shape);
  auto reals = state.try_read<double>("progress/reals", real_shape);
  if (!integers || !reals) {
    return integers ? reals.error() : integers.error();
  }
  numbers.integers = std::move(*integers);
  numbers.reals = std::move(*reals);
  for (const std::int64_t number : numbers.integers) {
    if (number < 0) {
      return DataError("found a negative count", {.file = path, .field = "progress/integers"});
    }
  }
  if (numbers.integers[1] >= trainer.steps_per_epoch()) {
    return DataError("step " + std::to_string(numbers.integers[1]) + " of an epoch of " +
                         std::to_string(trainer.steps_per_epoch()),
                     {.file = path, .field = "progress/integers"});
  }
  const ParameterTable& table = model.table();
  std::vector<std::pair<std::string, std::span<float>>> blocks{{"", trainer.model().weights()}};
  for (Index i = 0; i < trainer.optimizer().moment_count(); ++i) {
    blocks.emplace_back(detail::moment_group(i), trainer.optimizer().moments(i));
  }
  if (!trainer.optimizer().masters().empty()) {
    blocks.emplace_back("master", trainer.optimizer().masters());
  }
  if (trainer.average()) {
    blocks.emplace_back("average", trainer.average()->average());
  }
  std::vector<float> best;
  if (numbers.integers[6] > 0) {
    best.resize(static_cast<std::size_t>(table.trained_size));
    blocks.emplace_back("best", best);
  }
  const auto covers = [](const std::string& group) {
    return group.empty() ? io::Covers::all : io::Covers::trained;
  };
  for (const auto& [group, block] : blocks) {
    if (Failure failure = io::match_parameters(state, table, group, covers(group))) {
      return failure;
    }
  }
  OwnedMatrix<float> bank;
  if (detail::of_stages<Model> && state.find("bank/keys") != nullptr) {
    const Index shape[] = {model.items(), model.query_width()};
    auto keys = state.try_read<float>("bank/keys", shape);
    if (!keys) {
      return keys.error();
    }
    if (!std::all_of(keys->begin(), keys->end(), [](float key) { return std::isfinite(key); })) {
      return DataError("found a number that is not finite", {.file = path, .field = "bank/keys"});
    }
    bank.values = std::move(*keys);
    bank.rows = shape[0];
    bank.cols = shape[1];
  }
  for (const auto& [group, block] : blocks) {
    io::load_parameters(state, table, block, group, covers(group));
  }
  trainer.best_weights() = std::move(best);
  if constexpr (detail::of_stages<Model>) {
    trainer.bank() = std::move(bank);
  }
  numbers.restore(trainer);
  return std::nullopt;
}

template <class Run>
void load_training_state(Run& trainer, const std::string& path, const RunNotes& notes = {}) {
  if (const Failure failure = try_load_training_state(trainer, path, notes)) {
    raise(*failure);
  }
}

}  // namespace simgr::SIMGR_ABI::train
