// SPDX-License-Identifier: Apache-2.0
#include <encoder/golden_t5.hpp>

namespace simgr_test {
void check_t5_in(GoldenModel& model, double);
void check_t5_in(GoldenModel& model, float);
}  // namespace simgr_test

TEST_SUITE("golden") {
  TEST_CASE("T5 reproduces the reference in both scalars: states, loss, gradients, AdamW") {
    for (auto& [name, config] : simgr_test::golden_models("t5")) {
      simgr_test::GoldenModel model(name, std::move(config));
      if (!model.files.cases().empty() &&
          model.file("model").has("decoder.final_layer_norm.weight") &&
          model.file("inputs").has("labels")) {
        simgr_test::check_t5_in(model, double{});
        simgr_test::check_t5_in(model, float{});
      } else {
        for (auto& golden : model.files.cases()) {
          golden.still_to_come("decoding, or an encoder alone");
        }
      }
    }
  }
}
