// SPDX-License-Identifier: Apache-2.0
#include <encoder/golden_t5.hpp>

namespace simgr_test {
void check_t5_in(GoldenModel& model, double);
void check_t5_in(GoldenModel& model, float);
void check_t5_beam(GoldenModel& model);
void check_sentence_t5_in(GoldenModel& model, double);
void check_sentence_t5_in(GoldenModel& model, float);
}  // namespace simgr_test

TEST_SUITE("golden") {
  TEST_CASE("T5 reproduces the reference: states, loss, gradients, AdamW, scores and beams") {
    for (auto& [name, config] : simgr_test::golden_models("t5")) {
      simgr_test::GoldenModel model(name, std::move(config));
      simgr_test::GoldenCase& inputs = model.file("inputs");
      if (inputs.has("labels")) {
        simgr_test::check_t5_in(model, double{});
        simgr_test::check_t5_in(model, float{});
      } else if (!inputs.tensors("fixed").empty()) {
        simgr_test::check_t5_beam(model);
      } else if (model.file("model").has("linear.weight")) {
        simgr_test::check_sentence_t5_in(model, double{});
        simgr_test::check_sentence_t5_in(model, float{});
      }
    }
  }
}
