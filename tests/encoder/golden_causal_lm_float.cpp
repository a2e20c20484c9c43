// SPDX-License-Identifier: Apache-2.0
#include <encoder/golden_simgr_lm.hpp>

namespace simgr_test {
void check_causal_lm_in(GoldenModel& model, float);
void check_causal_lm_in(GoldenModel& model, float) {
  if (model.has_file("adapter_model")) {
    check_adapted_lm<float>(model);
  } else if (model.file("inputs").has("item_token_ids")) {
    check_simgr_lm<float>(model);
  } else if (*model.config.find("model_type")->as_text() == "gpt2") {
    check_causal_lm<Gpt2, float>(model);
  } else {
    check_causal_lm<Llama, float>(model);
  }
}
}  // namespace simgr_test
