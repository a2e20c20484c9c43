// SPDX-License-Identifier: Apache-2.0
#include <simgr/core/fields.hpp>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

using namespace simgr;

namespace {

enum class Norm { before, after, none };
constexpr std::array<std::string_view, 3> names_of(Norm) {
  return {"before", "after", "none"};
}
enum class Order { rising, falling };  // without words

struct Encoder {
  Index width = 64;
  float dropout = 0.5f;
  Norm norm = Norm::before;
  Order order = Order::rising;

  template <class F, class C>
  static void for_each_field(C& c, F&& f) {
    f(Field{"width", 1, 4096, "width of the model"}, c.width);
    f(Field{"dropout", 0, 0.9, "share of dropped values"}, c.dropout);
    f(Field{"norm", 0, 1, "norm before or after"}, c.norm);
    f(Field{"order", 0, 1, "of the blocks"}, c.order);
  }
};

struct Model {
  Encoder encoder;
  bool tied = true;
  std::uint64_t seed = 1;

  template <class F, class C>
  static void for_each_field(C& c, F&& f) {
    fields_of("encoder", c.encoder, f);
    f(Field{"tied", 0, 1, "one table for input and output"}, c.tied);
    f(Field{.name = "seed", .meaning = "of every random draw"}, c.seed);
  }
};

std::string message_of(std::string_view name, std::string_view text) {
  Model model;
  try {
    set_field(model, name, text);
  } catch (const ConfigError& error) { return error.what(); }
  return "";
}

struct OfText {
  std::string from = "none";

  template <class F, class C>
  static void for_each_field(C& c, F&& f) {
    f(Field{.name = "from", .meaning = "a file"}, c.from);
  }
};

}  // namespace

TEST_CASE("fields are listed with dotted names, values and meanings, in order") {
  const Model model;
  const std::vector<FieldText> fields = list_fields(model);
  REQUIRE(fields.size() == 6);
  CHECK(fields[0].name == "encoder.width");
  CHECK(fields[0].value == "64");
  CHECK(fields[0].meaning == "width of the model");
  CHECK(fields[1].value == "0.5");
  CHECK(fields[2].value == "before");
  CHECK(fields[3].value == "0");
  CHECK(fields[4].name == "tied");
  CHECK(fields[4].value == "true");
  CHECK(fields[5].value == "1");
}

TEST_CASE("fields say what they may be set to") {
  const std::vector<FieldText> fields = list_fields(Model{});
  const char* const expected[] = {"1 to 4096", "0 to 0.9",      "before or after",
                                  "0 to 1",    "true or false", ""};
  for (std::size_t i = 0; i < fields.size(); ++i) { CHECK(fields[i].range == expected[i]); }
  CHECK(detail::bound_text(1e6) == "1000000");
  CHECK(detail::bound_text(9.2e18) == "9.2e+18");
  CHECK(detail::bound_text(-0.5) == "-0.5");
}

TEST_CASE("an enumeration is set by its word or its number") {
  Model model;
  set_field(model, "encoder.norm", "after");
  CHECK(model.encoder.norm == Norm::after);
  set_field(model, "encoder.norm", "0");
  CHECK(model.encoder.norm == Norm::before);
  CHECK(message_of("encoder.norm", "none") == "encoder.norm: expected before or after, found none");
  CHECK(message_of("encoder.norm", "behind") ==
        "encoder.norm: cannot read \"behind\" as a value; expected before or after");
  model.encoder.norm = static_cast<Norm>(7);  // nothing has this name
  CHECK(list_fields(model)[2].value == "7");
  CHECK(out_of_range(model) == "encoder.norm: expected 0 to 1, found 7");
}

TEST_CASE("a field may be a text") {
  OfText config;
  set_field(config, "from", "a b.simgr");
  CHECK(config.from == "a b.simgr");
  set_field(config, "from", "");
  CHECK(list_fields(config).front().value == "");
  CHECK(out_of_range(config) == "");
}

TEST_CASE("every field can be set by its name") {
  Model model;
  set_field(model, "encoder.width", "128");
  set_field(model, "encoder.dropout", "0.25");
  set_field(model, "encoder.norm", "1");
  set_field(model, "tied", "false");
  set_field(model, "seed", "18446744073709551615");
  CHECK(model.encoder.width == 128);
  CHECK(model.encoder.dropout == 0.25f);
  CHECK(model.encoder.norm == Norm::after);
  CHECK_FALSE(model.tied);
  CHECK(model.seed == ~std::uint64_t{0});
}

TEST_CASE("listing and setting are inverse") {
  Model model;
  model.encoder.dropout = 0.1f;
  model.encoder.width = 97;
  model.encoder.norm = Norm::after;
  model.tied = false;
  Model copy;
  for (const FieldText& field : list_fields(model)) { set_field(copy, field.name, field.value); }
  CHECK(copy.encoder.dropout == model.encoder.dropout);
  CHECK(copy.encoder.width == 97);
  CHECK(copy.encoder.norm == Norm::after);
  CHECK_FALSE(copy.tied);
}

TEST_CASE("an unknown name is refused, with the near names") {
  CHECK(message_of("encoder.widht", "3").find("encoder.width") != std::string::npos);
  CHECK(message_of("width", "3").find("encoder.width") != std::string::npos);
}

TEST_CASE("what cannot be read or is out of range is refused and changes nothing") {
  for (const char* text : {"", "wide", "12.5", "12x", " 12", "99999999999999999999"}) {
    CAPTURE(text);
    CHECK(message_of("encoder.width", text).find("encoder.width") == 0);
  }
  CHECK(message_of("encoder.width", "0") == "encoder.width: expected 1 to 4096, found 0");
  CHECK(message_of("encoder.width", "4097") == "encoder.width: expected 1 to 4096, found 4097");
  CHECK_FALSE(message_of("encoder.dropout", "nan").empty());
  CHECK_FALSE(message_of("tied", "maybe").empty());
  CHECK_FALSE(message_of("encoder.norm", "2").empty());
  CHECK(message_of("encoder.width", "4096").empty());

  Model model;
  CHECK_THROWS_AS(set_field(model, "encoder.width", "0"), ConfigError);
  CHECK(model.encoder.width == 64);
}

TEST_CASE("the first field out of range is named") {
  Model model;
  CHECK(out_of_range(model).empty());
  model.encoder.dropout = 1.5f;
  CHECK(out_of_range(model) == "encoder.dropout: expected 0 to 0.9, found 1.5");
  model.encoder.width = -1;
  CHECK(out_of_range(model) == "encoder.width: expected 1 to 4096, found -1");
  model.encoder.width = 1;
  model.encoder.dropout = std::numeric_limits<float>::quiet_NaN();
  CHECK_FALSE(out_of_range(model).empty());
}

TEST_CASE("the nearest names come best first, at most three") {
  const std::vector<std::string> names{"heads", "layers", "width", "max_length", "dropout"};
  CHECK(nearest_names("head", names).front() == "heads");
  CHECK(nearest_names("length", names).front() == "max_length");
  CHECK(nearest_names("droput", names).front() == "dropout");
  CHECK(nearest_names("x", names).size() == 3);
  CHECK(nearest_names("x", {}).empty());
}
