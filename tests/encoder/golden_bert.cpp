// SPDX-License-Identifier: Apache-2.0
#include <support/golden_model.hpp>

namespace simgr_test {
void check_bert_in(GoldenModel& model, double);
void check_bert_in(GoldenModel& model, float);
}  // namespace simgr_test

TEST_SUITE("golden") {
  TEST_CASE("BERT reproduces the reference: states, losses, embeddings, gradients, AdamW") {
    for (auto& [name, config] : simgr_test::golden_models("bert")) {
      simgr_test::GoldenModel model(name, std::move(config));
      simgr_test::check_bert_in(model, double{});
      simgr_test::check_bert_in(model, float{});
    }
  }
}
