// SPDX-License-Identifier: Apache-2.0
#include <simgr/train/search_space.hpp>

#include <cmath>
#include <set>

#include <doctest/doctest.h>

namespace {

using simgr::train::Configuration;
using simgr::train::SearchSpace;

const std::vector<simgr::FieldText> searched_fields = {{"encoder.width", "64", "", ""},
                                                       {"encoder.layers", "2", "", ""},
                                                       {"encoder.dropout", "0.5", "", ""},
                                                       {"ranker.width", "20", "", ""},
                                                       {"optimizer.rate", "0.003", "", ""}};

SearchSpace space_of(const std::string& text) {
  return SearchSpace::try_parse(text, searched_fields).value_or_raise();
}
std::string error_of_space(const std::string& text) {
  const auto space = SearchSpace::try_parse(text, searched_fields);
  return space.ok() ? "" : space.error().what();
}

TEST_CASE("a space is read from text, names by their ends where one field has them") {
  const auto space =
      space_of("rate=1e-4..1e-2:log,encoder.width=64|128,layers=1..4:int,dropout=0..0.6");
  REQUIRE(space.dimensions().size() == 4);
  CHECK(space.dimensions()[0].name == "optimizer.rate");
  CHECK(space.dimensions()[0].usual == "0.003");
  CHECK(space.dimensions()[0].least == 1e-4);
  CHECK(space.dimensions()[0].most == 1e-2);
  CHECK(space.dimensions()[0].logarithmic);
  CHECK(!space.dimensions()[0].whole);
  CHECK(space.dimensions()[1].choices == std::vector<std::string>{"64", "128"});
  CHECK(space.dimensions()[2].whole);
  CHECK(space.configuration(1, 0, {}) == Configuration{{"optimizer.rate", "0.003"},
                                                       {"encoder.width", "64"},
                                                       {"encoder.layers", "2"},
                                                       {"encoder.dropout", "0.5"}});
}

TEST_CASE("draws stay inside, are spread as declared, and follow from seed and trial") {
  const auto space = space_of("rate=1e-4..1e-2:log,dropout=0.1..0.7,layers=1..4:int,"
                              "encoder.width=8..512:log:int");
  int low_rates = 0, low_dropouts = 0, narrow = 0;
  std::set<std::string> layers;
  std::vector<Configuration> seen;
  constexpr int draws = 2000;
  for (int trial = 1; trial <= draws; ++trial) {
    const auto drawn = space.configuration(7, trial, {});
    REQUIRE(drawn);
    CHECK(drawn == space.configuration(7, trial, {}));
    CHECK(drawn != space.configuration(8, trial, {}));
    const double rate = std::stod((*drawn)[0].value), dropout = std::stod((*drawn)[1].value);
    const int width = std::stoi((*drawn)[3].value);
    CHECK((rate >= 1e-4 && rate <= 1e-2));
    CHECK((dropout >= 0.1 && dropout <= 0.7));
    CHECK((width >= 8 && width <= 512));
    low_rates += rate < 1e-3;
    low_dropouts += dropout < 0.4;
    narrow += width < 64;
    layers.insert((*drawn)[2].value);
  }
  // Half of each, with a deviation of 22.
  CHECK(std::abs(low_rates - draws / 2) < 110);
  CHECK(std::abs(low_dropouts - draws / 2) < 110);
  CHECK(std::abs(narrow - draws / 2) < 110);
  CHECK(layers == std::set<std::string>{"1", "2", "3", "4"});
}

TEST_CASE("no two trials try the same, and a space can be used up") {
  const auto space = space_of("encoder.width=32|64|128,layers=1..2:int");
  std::vector<Configuration> tried;
  while (const auto next = space.configuration(3, std::ssize(tried), tried)) {
    CHECK(std::find(tried.begin(), tried.end(), *next) == tried.end());
    tried.push_back(*next);
  }
  CHECK(tried.size() == 6);
}

TEST_CASE("numbers are rounded to what people read, and never out of the range") {
  CHECK(simgr::train::detail::rounded(0.00123456, 0, 1) == "0.00123");
  CHECK(simgr::train::detail::rounded(0.99996, 0.5, 0.99997) == "0.99997");
  CHECK(simgr::train::detail::rounded(0.10004, 0.10002, 1) == "0.10002");
}

TEST_CASE("a space that is none says which part, and why") {
  const auto fails = [](const std::string& text, const std::string& part) {
    CAPTURE(text);
    CAPTURE(error_of_space(text));
    CHECK(error_of_space(text).find(part) != std::string::npos);
  };
  fails("", "expected name=");
  fails("rate", "\"rate\": expected name=least..most or name=a|b|c");
  fails("=1..2", "expected name=");
  fails("rate=1..2,", "\"\": expected name=");
  fails("rat=1..2", "no setting is named so; near names: optimizer.rate");
  fails("width=1..2", "this may mean encoder.width, ranker.width");
  fails("rate=1..2,optimizer.rate=1..2", "optimizer.rate stands twice");
  fails("rate=2..1", "of which the first is smaller");
  fails("rate=1..1", "of which the first is smaller");
  fails("rate=1..x", "two numbers");
  fails("rate=1..2x", "two numbers");
  fails("rate=nan..2", "two numbers");
  fails("rate=1..inf", "two numbers");
  fails("rate=1..1e999", "two numbers");
  fails("rate=..", "two numbers");
  fails("rate=0..1:log", "a logarithmic range begins above 0");
  fails("rate=1..2:lin", "expected log or int behind a colon, each once, found \"lin\"");
  fails("rate=1..2:log:log", "each once");
  fails("rate=1..2:", "found \"\"");
  fails("layers=1..2.5:int", "whole ends");
  fails("layers=1..1e300:int", "2^53");
  fails("encoder.width=64|", "an empty choice");
  fails("encoder.width=", "an empty choice");
  fails("encoder.width=64|64", "stands twice");
  fails("encoder.width=64|128:int", "only a range");
}

}  // namespace
