// SPDX-License-Identifier: Apache-2.0
#include <encoder/golden_text_encoder.hpp>

namespace simgr_test {
void check_bert_in(GoldenModel& model, float);
void check_bert_in(GoldenModel& model, float) {
  check_bert<float>(model);
}
void check_sentence_t5_in(GoldenModel& model, float);
void check_sentence_t5_in(GoldenModel& model, float) {
  check_sentence_t5<float>(model);
}
}  // namespace simgr_test
