// SPDX-License-Identifier: Apache-2.0
#include <simgr/data/python_literal.hpp>

#include <string>

#include <doctest/doctest.h>

using simgr::data::parse_python_literal;
using simgr::data::try_parse_python_literal;

TEST_CASE("dictionaries, lists, tuples, texts, numbers and names are read") {
  const auto root = parse_python_literal(
      R"({'a': [1, -2.5, 3L, 1e3, nan], u'b': ("x", 'y',), 'c': {'d': None, 'e': True}, 'f': (), 'g': -7})");
  const auto& a = *root.find("a")->as_array();
  CHECK(a[0].as_integer() == 1);
  CHECK(a[1].as_number() == -2.5);
  CHECK(a[2].as_integer() == 3);
  CHECK(a[3].as_number() == 1000);
  CHECK(a[4].is_null());
  CHECK(root.find("b")->as_array()->size() == 2);
  CHECK(*(*root.find("b")->as_array())[1].as_text() == "y");
  CHECK(root.find("c")->find("d")->is_null());
  CHECK(root.find("c")->find("e")->as_boolean() == true);
  CHECK(root.find("f")->as_array()->empty());
  CHECK(root.find("g")->as_integer() == -7);
}

TEST_CASE("escapes are those of Python, and unknown ones stay") {
  const auto text = [](const std::string& literal) {
    return *parse_python_literal(literal).as_text();
  };
  CHECK(text(R"('it\'s "x"')") == "it's \"x\"");
  CHECK(text(R"("it's \"x\"")") == "it's \"x\"");
  CHECK(text(R"('a\\b\n\t\r')") == "a\\b\n\t\r");
  CHECK(text(R"('\xe9\u20ac\U0001f600')") == "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
  CHECK(text(R"('\ud83d\ude00')") == "\xf0\x9f\x98\x80");
  CHECK(text(R"('\ud83dx')") == "\xef\xbf\xbdx");
  CHECK(text(R"('\101\0')") == std::string("A\0", 2));
  CHECK(text(R"('\q\xzz')") == "\\q\\xzz");
  CHECK(text(R"(r'\n')") == "\\n");
  CHECK(text("'caf\xc3\xa9'") == "caf\xc3\xa9");
}

TEST_CASE("what is no literal is refused with its byte") {
  const std::string cases[] = {"",       "{",         "{'a'}", "{'a': }",    "{1: 2}", "['a'",
                               "'a",     "'a\\",      "[1 2]", "{'a': 1} x", "foo",    "{'a': b}",
                               "(1,2]",  "'\xff'",    "1.2.3", "{'a' 1}",    "--1",    "[,]",
                               "import", "{'a':1,,}", "[1,2}"};
  for (const std::string& text : cases) {
    CAPTURE(text);
    const auto result = try_parse_python_literal(text, {"meta", 3, -1, ""});
    REQUIRE_FALSE(result.ok());
    CHECK(std::string(result.error().what()).find("meta:3 at byte") == 0);
  }
  CHECK_FALSE(try_parse_python_literal(std::string(1000000, '[')).ok());
  CHECK_FALSE(try_parse_python_literal(std::string(1000000, '{')).ok());
}

TEST_CASE("a literal cut at any byte is refused, and a changed byte never crashes") {
  const std::string text =
      R"({'asin': '00', "title": "It's \"a\"", 'c': [['x', 'y']], 'p': 3.17, 'n': None})";
  CHECK(try_parse_python_literal(text).ok());
  for (std::size_t cut = 0; cut < text.size(); ++cut) {
    CAPTURE(cut);
    CHECK_FALSE(try_parse_python_literal(text.substr(0, cut)).ok());
  }
  int accepted = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string changed = text;
      changed[at] = static_cast<char>(byte);
      accepted += try_parse_python_literal(changed).ok() ? 1 : 0;
    }
  }
  CHECK(accepted > 0);
}

TEST_CASE("a literal of more values than the limit is refused before they are kept") {
  const std::string text = "{'a': [1, 2, (3,)]}";  // 7 with the name and the containers
  CHECK(try_parse_python_literal(text, {}, {.values = 7}).ok());
  const auto result = try_parse_python_literal(text, {}, {.values = 6});
  REQUIRE_FALSE(result.ok());
  CHECK(std::string(result.error().what()).find("more values than 6") != std::string::npos);
  std::string many(3000, ',');
  for (std::size_t i = 1; i < many.size(); i += 3) { many.replace(i - 1, 2, "[]"); }
  CHECK_FALSE(try_parse_python_literal("[" + many + "]", {}, {.values = 1000}).ok());
  CHECK(try_parse_python_literal("[" + many + "]", {}, {.values = 1001}).ok());
}
