// SPDX-License-Identifier: Apache-2.0
#include <support/golden.hpp>

namespace simgr_test {
void check_query_norm(GoldenCase& golden, double);
void check_query_norm(GoldenCase& golden, float);
void check_pre_norm(GoldenCase& golden, double);
void check_pre_norm(GoldenCase& golden, float);
void check_post_norm(GoldenCase& golden, double);
void check_post_norm(GoldenCase& golden, float);
void check_bert(GoldenCase& golden, double);
void check_bert(GoldenCase& golden, float);
}  // namespace simgr_test

TEST_SUITE("golden") {
  TEST_CASE("SASRec's blocks and models reproduce the reference in both scalars") {
    simgr_test::GoldenFamily family("sasrec");
    for (simgr_test::GoldenCase& golden : family.cases()) {
      const std::string kind = golden.text("kind");
      if (kind == "kang" || kind == "query_norm") {
        simgr_test::check_query_norm(golden, double{});
        simgr_test::check_query_norm(golden, float{});
      } else if (kind == "pre") {
        simgr_test::check_pre_norm(golden, double{});
        simgr_test::check_pre_norm(golden, float{});
      } else if (kind == "post") {
        simgr_test::check_post_norm(golden, double{});
        simgr_test::check_post_norm(golden, float{});
      } else if (kind == "bert") {
        simgr_test::check_bert(golden, double{});
        simgr_test::check_bert(golden, float{});
      }
    }
  }
}
