// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <simgr/core/error.hpp>
#include <simgr/core/fields.hpp>
#include <simgr/core/parameter.hpp>
#include <simgr/io/checkpoint.hpp>
#include <simgr/train/optimizer.hpp>
#include <simgr/train/saved_run.hpp>

namespace simgr::SIMGR_ABI::train {

/// A stage before training as a file between two of its epochs, for a stage that is interrupted and
/// goes on: weights, what the optimiser remembers, and how many epochs are done. Where there is no
/// path, nothing is kept.
class StageFile {
public:
  StageFile() = default;
  /// @param stage  what the stage is: options, data, model; a file of another one is refused
  StageFile(std::string path, std::vector<FieldText> stage)
      : path_(std::move(path)), stage_(std::move(stage)) {}

  const std::string& path() const noexcept { return path_; }

  /// Puts a stage that has not begun where the file says, if there is one.   -> epochs that are done
  ///
  /// @param weights  [table.block_size]
  ///
  /// Errors  DataError, ShapeError: a damaged file, or one of another stage, with what differs; nothing
  ///         is changed then
  Result<Index> try_restore(const ParameterTable& table, std::span<float> weights,
                            OptimizerState<float>& optimizer) const {
    std::error_code error;
    if (path_.empty() || !std::filesystem::exists(path_, error)) {
      return Index{0};
    }
    auto file = io::Checkpoint::try_read(path_);
    if (!file) {
      return file.error();
    }
    std::string differences;
    add_differences(differences, *file, prefix, stage_, {});
    if (!differences.empty()) {
      return DataError("the stage that was saved differs from this one: " + differences,
                       {.file = path_});
    }
    const Index two[] = {2};
    auto numbers = file->try_read<std::int64_t>("progress/integers", two);
    if (!numbers) {
      return numbers.error();
    }
    if ((*numbers)[0] < 0 || (*numbers)[1] < 0) {
      return DataError("found a negative count", {.file = path_, .field = "progress/integers"});
    }
    std::vector<std::pair<std::string, std::span<float>>> blocks{{"", weights}};
    for (Index i = 0; i < optimizer.moment_count(); ++i) {
      blocks.emplace_back(detail::moment_group(i), optimizer.moments(i));
    }
    const auto covers = [](const std::string& group) {
      return group.empty() ? io::Covers::all : io::Covers::trained;
    };
    for (const auto& [group, block] : blocks) {
      if (Failure failure = io::match_parameters(*file, table, group, covers(group))) {
        return *std::move(failure);
      }
    }
    for (const auto& [group, block] : blocks) {
      io::load_parameters(*file, table, block, group, covers(group));
    }
    optimizer.set_steps((*numbers)[1]);
    return static_cast<Index>((*numbers)[0]);
  }

  /// Writes the file anew: the old one or the new one, never half.
  ///
  /// Errors  those of CheckpointWriter::try_write
  Failure try_keep(Index epochs, const ParameterTable& table, std::span<const float> weights,
                   const OptimizerState<float>& optimizer) const {
    if (path_.empty()) {
      return std::nullopt;
    }
    io::CheckpointWriter writer;
    for (const FieldText& field : stage_) { writer.set(prefix + field.name, field.value); }
    const std::int64_t numbers[] = {epochs, optimizer.steps()};
    writer.add_copy("progress/integers", {2}, std::span<const std::int64_t>(numbers));
    io::add_parameters(writer, table, weights);
    for (Index i = 0; i < optimizer.moment_count(); ++i) {
      io::add_parameters(writer, table, optimizer.moments(i), detail::moment_group(i),
                         io::Covers::trained);
    }
    return writer.try_write(path_);
  }

private:
  inline static const std::string prefix = "simgr.stage.";

  std::string path_;
  std::vector<FieldText> stage_;
};

}  // namespace simgr::SIMGR_ABI::train
