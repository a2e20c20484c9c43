// SPDX-License-Identifier: Apache-2.0
#include <simgr/io/tokenizer_config.hpp>

#include <string>
#include <tuple>

#include <doctest/doctest.h>
#include <support/temporary_folder.hpp>

using namespace simgr;

TEST_CASE("a tokenizer's config may say how long a text is, and what ends it") {
  for (const auto& [text, longest, end] :
       {std::tuple(R"({"model_max_length": 1024, "eos_token": "<end>"})", 1024, "<end>"),
        std::tuple(R"({"model_max_length": 1000000000000000019884624838656,
                       "eos_token": {"content": "</s>", "special": true}, "other": 18446744073709551616})",
                   0, "</s>"),
        std::tuple(R"({"model_max_length": 9223372036854775808})", 0, ""),
        std::tuple(R"({"model_max_length": 1e30, "eos_token": null})", 0, ""),
        std::tuple(R"({"model_max_length": null, "chat_template": "…"})", 0, ""),
        std::tuple("{}", 0, "")}) {
    CAPTURE(text);
    auto config = io::try_parse_tokenizer_config(text);
    REQUIRE(config);
    CHECK(config->longest == longest);
    CHECK(config->end == end);
  }
  const simgr_test::TemporaryFolder folder;
  auto none = io::try_read_tokenizer_config(folder.path().string());
  REQUIRE(none);
  CHECK(none->longest == 0);
  CHECK(none->end.empty());
}

TEST_CASE("a tokenizer's config that makes no sense is refused") {
  const simgr_test::TemporaryFolder folder;
  for (const auto& [text, sentence] :
       {std::tuple(R"({"model_max_length": 0})", "model_max_length: expected a number from 1"),
        std::tuple(R"({"model_max_length": -5})", "model_max_length: expected a number from 1"),
        std::tuple(R"({"model_max_length": "512"})", "model_max_length: expected a number from 1"),
        std::tuple(R"({"eos_token": 2})", "eos_token: expected a token"),
        std::tuple(R"({"eos_token": {"id": 2}})", "eos_token: expected a token"),
        std::tuple("[]", "expected an object"), std::tuple("{", "tokenizer_config.json")}) {
    CAPTURE(text);
    simgr_test::write_bytes(folder.file("tokenizer_config.json"), text);
    auto refused = io::try_read_tokenizer_config(folder.path().string());
    REQUIRE_FALSE(refused);
    const std::string message = refused.error().what();
    CAPTURE(message);
    CHECK(message.find(sentence) != std::string::npos);
    CHECK(message.find("tokenizer_config.json") != std::string::npos);
  }
}
