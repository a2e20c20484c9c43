// SPDX-License-Identifier: Apache-2.0
#include <simgr/text/prompt_template.hpp>

#include <string>
#include <vector>

#include <doctest/doctest.h>

using namespace simgr::text;

TEST_CASE("slots are filled, and braces in values are text") {
  const PromptTemplate prompt("Items: {history}. {{x}} {n} and {history}!");
  CHECK(prompt.slots() == std::vector<std::string>{"history", "n", "history"});
  CHECK(prompt.prefix() == "Items: ");
  CHECK(prompt.render({{"n", "{history}"}, {"history", "<a_1>"}}) ==
        "Items: <a_1>. {x} {history} and <a_1>!");
  CHECK(PromptTemplate("").render({}) == "");
  CHECK(PromptTemplate("plain").prefix() == "plain");
}

TEST_CASE("templates that cannot be filled") {
  for (const char* bad : {"{", "a}", "{}", "{a", "{a{b}}", "}{"}) {
    CHECK_THROWS_AS(PromptTemplate{bad}, simgr::ConfigError);
  }
  CHECK_THROWS_WITH_AS(PromptTemplate("{a}").render({{"b", "x"}}),
                       "the slot {a} of a prompt template has no value", simgr::ConfigError);
}

TEST_CASE("conversations as the published models write them") {
  const std::vector<ChatTemplate::Turn> turns = {{"system", "Be brief."}, {"user", "Hi {you}"}};
  CHECK(ChatTemplate::chat_ml().render(turns) ==
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi {you}<|im_end|>\n"
        "<|im_start|>assistant\n");
  CHECK(ChatTemplate::llama3().render(turns) ==
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nHi {you}<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n");
}
