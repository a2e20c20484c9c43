// SPDX-License-Identifier: Apache-2.0
#include <simgr/data/json.hpp>

#include <string>

#include <doctest/doctest.h>

#include <support/processor_time.hpp>

namespace {

using simgr::data::parse_json;
using simgr::data::try_parse_json;

std::string refusal(std::string_view text, simgr::Where where = {}) {
  const auto result = try_parse_json(text, std::move(where));
  return result.ok() ? std::string("accepted") : result.error().what();
}

}  // namespace

TEST_CASE("integers beyond 64 bits are numbers where they are asked for") {
  for (const char* text :
       {"9223372036854775808", "-9223372036854775809", "1000000000000000019884624838656"}) {
    CAPTURE(text);
    CHECK_FALSE(try_parse_json(text));
    auto value = try_parse_json(text, {}, {.wide_integers = true});
    REQUIRE(value);
    CHECK_FALSE(value->as_integer());
    CHECK(value->as_number() == std::stod(text));
  }
  CHECK(parse_json("7", {}, {.wide_integers = true}).as_integer() == 7);
}

TEST_CASE("a document gives its values, in the order of the file, with their places") {
  const auto root = parse_json(R"({"b": [1, -2.5, "x\u00e9", true, null], "a": {"c": 3e2}})");
  REQUIRE(root.as_object() != nullptr);
  CHECK(root.as_object()->size() == 2);
  CHECK(root.as_object()->front().key == "b");
  const auto& list = *root.find("b")->as_array();
  REQUIRE(list.size() == 5);
  CHECK(list[0].as_integer() == 1);
  CHECK(list[0].as_number() == 1.0);
  CHECK_FALSE(list[1].as_integer().has_value());
  CHECK(list[1].as_number() == -2.5);
  CHECK(*list[2].as_text() == "x\xc3\xa9");
  CHECK(list[3].as_boolean() == true);
  CHECK(list[4].is_null());
  CHECK(root.find("a")->find("c")->as_number() == 300.0);
  CHECK(root.find("nothing") == nullptr);
  CHECK(root.find("a")->kind_name() == "object");
  CHECK(root.find("a")->offset() == 46);
  CHECK(parse_json("9223372036854775807").as_integer() == INT64_MAX);
  CHECK(parse_json("-9223372036854775808").as_integer() == INT64_MIN);
}

TEST_CASE("documents outside the rules are refused, each with its reason and its byte") {
  struct Case {
    std::string text, part;
  };
  const Case cases[] = {
      {"", "at byte 0: not valid JSON"},
      {"{", "unexpected end"},
      {"[1,]", "not valid JSON"},
      {"{\"a\":1,\"a\":2}", "at byte 10: the key \"a\" stands twice"},
      {"[{\"a\":1},{\"b\":1,\"b\":1}]", "\"b\" stands twice"},
      {"NaN", "not valid JSON"},
      {"[Infinity]", "not valid JSON"},
      {"[1e999]", "not valid JSON"},
      {"[-1e999]", "not valid JSON"},
      {"18446744073709551616", "does not fit into 64 bits"},
      {"9223372036854775808", "does not fit into 64 bits"},
      {"-9223372036854775809", "does not fit into 64 bits"},
      {"01", "not valid JSON"},
      {"+1", "not valid JSON"},
      {"'a'", "not valid JSON"},
      {"\"\xff\"", "a byte that is not UTF-8"},
      {"\"\xc0\x80\"", "a byte that is not UTF-8"},
      {"\"\xed\xa0\x80\"", "a byte that is not UTF-8"},
      {"\"\\ud800\"", "surrogate"},
      {"\"\\udc00\"", "surrogate"},
      {"\"\\ud800\\u0041\"", "surrogate"},
      {"\"a\nb\"", "control character"},
      {std::string("{}\0garbage", 10), "NUL byte"},
      {std::string("\"a\0\"", 4), "at byte 2: not valid JSON: a NUL byte"},
      {"{} {}", "not valid JSON"},
      {"[1] // note", "not valid JSON"},
      {"{\"a\"}", "not valid JSON"},
      {"{1:2}", "not valid JSON"},
      {"tru", "not valid JSON"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.text);
    const std::string found = refusal(c.text);
    CHECK_MESSAGE(found.find(c.part) != std::string::npos, found);
  }
  CHECK(
      refusal("[1,]", {"a.json", 7, 100, ""}).starts_with("a.json:7 at byte 104: not valid JSON"));
}

TEST_CASE("duplicates are found in large objects too") {
  std::string text = "{";
  for (int i = 0; i < 1000; ++i) { text += "\"k" + std::to_string(i) + "\":0,"; }
  CHECK(parse_json(text + "\"x\":0}").as_object()->size() == 1001);
  CHECK(refusal(text + "\"k17\":0}").find("\"k17\" stands twice") != std::string::npos);
}

TEST_CASE("depth is capped at 64") {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  CHECK(refusal(nested(64)) == "accepted");
  CHECK(refusal(nested(65)).ends_with("at byte 65: nested deeper than 64 levels"));
}

TEST_CASE("hostile documents are refused in less than 50 ms of processor time") {
  const auto milliseconds = [](const std::string& text) {
    return 1e3 * simgr_test::processor_seconds([&] { CHECK(refusal(text) != "accepted"); });
  };
  const double most = 50 * simgr_test::slowness;
  CHECK(milliseconds(std::string(10'000'000, '[')) < most);
  CHECK(milliseconds(std::string(10'000'000, '{')) < most);
  CHECK(milliseconds(std::string(1'000'000, '9')) < most);
}

TEST_CASE(
    "a valid document is refused when cut at any byte, and never crashes when a byte changes") {
  const std::string text =
      R"({"__metadata__":{"format":"pt"},"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}})";
  CHECK(refusal(text) == "accepted");
  for (std::size_t cut = 0; cut < text.size(); ++cut) {
    CAPTURE(cut);
    CHECK(refusal(std::string_view(text).substr(0, cut)) != "accepted");
  }
  int accepted = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string changed = text;
      changed[at] = static_cast<char>(byte);
      accepted += try_parse_json(changed).ok() ? 1 : 0;
    }
  }
  CHECK(accepted > 0);
}

TEST_CASE("a handler may stop the reading with its own sentence") {
  int texts = 0;
  auto handler = [&](const simgr::data::JsonEvent& event) -> std::string {
    texts += event.kind == simgr::data::JsonEvent::Kind::text ? 1 : 0;
    return texts == 2 ? "enough" : "";
  };
  const auto failure = simgr::data::read_json_events(R"(["a","b","c"])", handler);
  REQUIRE(failure.has_value());
  CHECK(std::string(failure->what()).ends_with("at byte 8: enough"));
  CHECK(texts == 2);
}

TEST_CASE("a quoted text reads back as itself") {
  const std::string text = "a \"b\" \\ \n\t\x01 \xc3\xa9";
  CHECK(*parse_json(simgr::data::json_quote(text)).as_text() == text);
}
