// SPDX-License-Identifier: Apache-2.0
#include <encoder/golden_causal_lm.hpp>

namespace simgr_test {
void check_causal_lm_in(GoldenModel& model, double);
void check_causal_lm_in(GoldenModel& model, float);
}  // namespace simgr_test

TEST_SUITE("golden") {
  TEST_CASE("Llama, Qwen and GPT-2 reproduce the reference, adapted or under SimGR too") {
    for (const char* type : {"llama", "qwen2", "qwen3", "gpt2"}) {
      for (auto& [name, config] : simgr_test::golden_models(type)) {
        simgr_test::GoldenModel model(name, std::move(config));
        simgr_test::GoldenCase& inputs = model.file("inputs");
        if (inputs.has("labels") || inputs.has("item_token_ids")) {
          simgr_test::check_causal_lm_in(model, double{});
          simgr_test::check_causal_lm_in(model, float{});
        } else {
          for (auto& golden : model.files.cases()) { golden.still_to_come("beams of Qwen2"); }
        }
      }
    }
  }
}
