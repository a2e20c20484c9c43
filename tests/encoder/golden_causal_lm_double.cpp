// SPDX-License-Identifier: Apache-2.0
#include <encoder/golden_simgr_lm.hpp>

namespace simgr_test {
void check_causal_lm_in(GoldenModel& model, double);
void check_causal_lm_in(GoldenModel& model, double) {
  if (model.has_file("adapter_model")) {
    check_adapted_lm<double>(model);
  } else if (model.file("inputs").has("item_token_ids")) {
    check_simgr_lm<double>(model);
  } else if (*model.config.find("model_type")->as_text() == "gpt2") {
    check_causal_lm<Gpt2, double>(model);
  } else {
    check_causal_lm<Llama, double>(model);
  }
}
}  // namespace simgr_test
