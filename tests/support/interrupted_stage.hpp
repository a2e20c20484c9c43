// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#include <doctest/doctest.h>

#include <simgr/train/report.hpp>
#include <simgr/train/stage_file.hpp>

#include <support/temporary_folder.hpp>
#include <support/weights_of.hpp>

namespace simgr_test {

/// A stage before training that is interrupted behind each of its epochs ends with the bits of one that
/// is not; the file of another stage is refused, and the model stays as it was.
///
/// @param begin  () -> a model
/// @param run    (model, observer, file)
template <class Begin, class Run>
void check_interrupted_stage(simgr::Index epochs, Begin&& begin, Run&& run) {
  using simgr::train::StageFile;
  struct Interruption : std::runtime_error {
    using std::runtime_error::runtime_error;
  };
  auto whole = begin();
  run(
      whole, [](const simgr::train::PretrainReport&) {}, StageFile{});
  const TemporaryFolder folder;
  const StageFile file(folder.file("stage"), {{"epochs", "some", {}, {}}});
  for (simgr::Index stop = 1; stop <= epochs; ++stop) {
    auto model = begin();
    CHECK_THROWS_AS(run(
                        model,
                        [&](const simgr::train::PretrainReport& report) {
                          CHECK(report.epoch == stop);
                          throw Interruption("power");
                        },
                        file),
                    Interruption);
  }
  auto last = begin();
  run(
      last, [](const simgr::train::PretrainReport&) { FAIL("all epochs are done"); }, file);
  CHECK(weights_of(last) == weights_of(whole));

  auto other = begin();
  const auto before = weights_of(other);
  const StageFile of_another(file.path(), {{"epochs", "more", {}, {}}});
  CHECK_THROWS_WITH_AS(
      run(
          other, [](const simgr::train::PretrainReport&) {}, of_another),
      doctest::Contains("the stage that was saved differs from this one: epochs was some, is more"),
      simgr::DataError);
  CHECK(weights_of(other) == before);
  const std::string bytes = read_bytes(file.path());
  write_bytes(file.path(), std::string_view(bytes).substr(0, bytes.size() - 40));
  CHECK_THROWS_AS(run(
                      other, [](const simgr::train::PretrainReport&) {}, file),
                  simgr::DataError);
  CHECK(weights_of(other) == before);
}

}  // namespace simgr_test
