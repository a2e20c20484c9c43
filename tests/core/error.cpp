// SPDX-License-Identifier: Apache-2.0
#include <simgr/core/error.hpp>

#include <memory>
#include <string>
#include <utility>

#include <doctest/doctest.h>

using namespace simgr;

TEST_CASE("a message begins with where it happened") {
  CHECK(std::string(DataError("expected 3 columns, found 2", {"a.tsv", 17, -1, ""}).what()) ==
        "a.tsv:17: expected 3 columns, found 2");
  CHECK(std::string(DataError("is cut short", {"m.simgr", -1, 4096, "encoder.items"}).what()) ==
        "m.simgr at byte 4096: encoder.items: is cut short");
  CHECK(std::string(ConfigError("must be positive", {"", -1, -1, "width"}).what()) ==
        "width: must be positive");
  CHECK(std::string(IoError("no space left").what()) == "no space left");
}

TEST_CASE("an error keeps its kind and its place apart from the sentence") {
  const ShapeError error("expected [2, 3]", {"w.safetensors", -1, 8, "bias"});
  CHECK(error.kind() == ErrorKind::shape);
  CHECK(error.where().file == "w.safetensors");
  CHECK(error.where().offset == 8);
  CHECK(error.where().field == "bias");
  CHECK(error.where().line == -1);
}

TEST_CASE("everything thrown is a simgr::Error and a std::runtime_error") {
  CHECK_THROWS_AS(throw ConfigError("x"), Error);
  CHECK_THROWS_AS(throw DeviceError("x"), std::runtime_error);
}

TEST_CASE_TEMPLATE("raise throws the class that the kind names, with the same words", Kind,
                   ConfigError, DataError, ShapeError, IoError, DeviceError) {
  const Error stored = Kind("expected 4, found 5", {"file.csv", 2, -1, "rating"});
  try {
    raise(stored);
  } catch (const Kind& error) {
    CHECK(std::string(error.what()) == "file.csv:2: rating: expected 4, found 5");
    CHECK(error.kind() == stored.kind());
    CHECK(error.where().line == 2);
    CHECK(error.where().field == "rating");
  }
}

TEST_CASE("a result is a value or the reason why there is none") {
  Result<std::string> good = std::string("text");
  CHECK(good.ok());
  CHECK(good->size() == 4);
  CHECK(*good == "text");
  CHECK(std::move(good).value_or_raise() == "text");

  Result<std::string> bad = DataError("no text", {"f", 1, -1, ""});
  CHECK_FALSE(static_cast<bool>(bad));
  CHECK(std::string(bad.error().what()) == "f:1: no text");
  CHECK_THROWS_AS(std::move(bad).value_or_raise(), DataError);
}

TEST_CASE("a result carries what can only be moved") {
  Result<std::unique_ptr<int>> result = std::make_unique<int>(5);
  const std::unique_ptr<int> value = std::move(result).value_or_raise();
  CHECK(*value == 5);
}

TEST_CASE("an empty failure means success") {
  const Failure none;
  CHECK_FALSE(none);
  const Failure some = IoError("cannot open");
  CHECK(some->kind() == ErrorKind::io);
}
