// SPDX-License-Identifier: Apache-2.0
#include <nn/golden.hpp>

TEST_SUITE("golden") {
  TEST_CASE("layers reproduce the reference in both scalars") {
    simgr_test::GoldenFamily family("nn");
    for (simgr_test::GoldenCase& golden : family.cases()) {
      const auto* definition = golden.json().find("definition");
      const std::string* text = definition != nullptr ? definition->as_text() : nullptr;
      const std::string formula = text != nullptr ? *text : std::string();
      const auto about = [&](const char* words) { return formula.find(words) != formula.npos; };
      if (golden.has("input.q") || golden.has("input.positions") ||
          (golden.has("input.lengths") && about("mean over"))) {
        simgr_test::check_attention(golden);
      } else if (golden.has("param.lora_a") || golden.has("param.gate_proj.weight") ||
                 golden.has("input.ids") ||
                 (golden.has("param.weight") && golden.shape("param.weight").size() == 2)) {
        simgr_test::check_map(golden);
      } else if (golden.has_config("eps") || about("softmax") || about("|x|")) {
        simgr_test::check_normalisation(golden);
      } else if (golden.tensors("param.").empty()) {
        simgr_test::check_activation(golden);
      }
    }
  }
}
