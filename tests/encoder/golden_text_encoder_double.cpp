// SPDX-License-Identifier: Apache-2.0
#include <encoder/golden_text_encoder.hpp>

namespace simgr_test {
void check_bert_in(GoldenModel& model, double);
void check_bert_in(GoldenModel& model, double) {
  check_bert<double>(model);
}
void check_sentence_t5_in(GoldenModel& model, double);
void check_sentence_t5_in(GoldenModel& model, double) {
  check_sentence_t5<double>(model);
}
}  // namespace simgr_test
