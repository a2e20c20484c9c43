// SPDX-License-Identifier: Apache-2.0
#include <encoder/golden_causal_lm.hpp>

namespace simgr_test {
void check_causal_lm_in(GoldenModel& model, double);
void check_causal_lm_in(GoldenModel& model, float);
void check_causal_beam(GoldenModel& model);
Index check_narrow_lm(GoldenModel& model);
}  // namespace simgr_test

TEST_SUITE("golden") {
  TEST_CASE("Llama, Qwen and GPT-2 reproduce the reference, adapted or under SimGR too") {
    simgr_test::Index narrow = 0;
    for (const char* type : {"llama", "qwen2", "qwen3", "gpt2"}) {
      for (auto& [name, config] : simgr_test::golden_models(type)) {
        simgr_test::GoldenModel model(name, std::move(config));
        simgr_test::GoldenCase& inputs = model.file("inputs");
        if (inputs.has("labels") || inputs.has("item_token_ids")) {
          simgr_test::check_causal_lm_in(model, double{});
          simgr_test::check_causal_lm_in(model, float{});
          narrow += simgr_test::check_narrow_lm(model);
        } else if (!inputs.tensors("fixed").empty()) {
          simgr_test::check_causal_beam(model);
        }
      }
    }
    MESSAGE("weights that are bfloat16, kept so: ", narrow, " models");
    CHECK((narrow > 0 || simgr_test::all_golden_models().empty()));
  }

  TEST_CASE("every folder of models/ is of a family that a test reads") {
    const std::set<std::string> read{"llama", "qwen2", "qwen3", "gpt2", "bert", "t5"};
    for (const auto& [name, config] : simgr_test::all_golden_models()) {
      INFO(name, ": model_type ", simgr_test::model_type(config));
      CHECK(read.contains(simgr_test::model_type(config)));
    }
  }
}
