// SPDX-License-Identifier: Apache-2.0
// What the tool says of decoding: alone, and in the page that compares models.
#include <cli/program.hpp>

#include <cmath>
#include <sstream>

#include <doctest/doctest.h>

#include <simgr/data/json.hpp>

namespace {

using simgr_test::run_simgr;
using simgr_test::TemporaryFolder;

std::vector<std::string> with(std::vector<std::string> arguments,
                              const std::vector<std::string>& more) {
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}
const std::vector<std::string> little = {"--epochs",  "2",
                                         "--set",     "encoder.width=8",
                                         "--set",     "encoder.layers=1",
                                         "--set",     "encoder.max_length=8",
                                         "--threads", "2"};

double number_in(const simgr::data::JsonValue& object, const char* key) {
  const auto* value = object.find(key);
  INFO(key);
  REQUIRE(value != nullptr);
  return value->as_number().value_or(std::nan(""));
}

}  // namespace

TEST_CASE("analyse decoding says of each family what applies to it") {
  const TemporaryFolder folder;
  const std::string data = folder.file("data"), ids = folder.file("ids.tsv");
  simgr_test::write_data_folder(data);
  REQUIRE(run_simgr(folder, {"tokenize", "--data", data, "--out", ids, "--levels", "2", "--codes",
                             "6", "--iterations", "5"})
              .code == 0);
  std::vector<std::string> files;
  for (const std::string model : {"popularity", "rpg", "simgr", "lc-rec"}) {
    files.push_back(folder.file(model + ".simgr"));
    std::vector<std::string> arguments = {"fit", model, "--data", data, "--out", files.back()};
    if (model != "popularity") {
      arguments = with(with(arguments, little), {"--ids", ids});
    }
    const auto fitted = run_simgr(folder, arguments);
    INFO(fitted.err);
    REQUIRE(fitted.code == 0);
  }
  const auto analysed =
      run_simgr(folder, with(with({"analyse", "decoding", "--data", data, "--users", "40",
                                   "--widths", "1,3,64", "--threads", "2", "--model"},
                                  files),
                             {"--json"}));
  INFO(analysed.err);
  REQUIRE(analysed.code == 0);
  std::istringstream lines(analysed.out);
  std::string line;
  for (const std::string says : {"scores", "digits-apart", "items", "digits-in-turn"}) {
    CAPTURE(says);
    REQUIRE(std::getline(lines, line));
    const auto found = simgr::data::parse_json(line);
    CHECK(*found.find("says")->as_text() == says);
    CHECK(number_in(found, "users") == 40);
    double listed = 0, chosen = 0;
    for (const auto& band : *found.find("bands")->as_array()) {
      listed += number_in(band, "listed");
      chosen += number_in(band, "chosen");
    }
    CHECK(listed == doctest::Approx(1));
    CHECK(chosen == doctest::Approx(1));
    const auto* independence = found.find("independence");
    REQUIRE((independence == nullptr) == (says == "scores"));
    if (independence != nullptr) {
      const double shared = number_in(*independence, "total_correlation");
      CHECK(shared >= -1e-9);
      CHECK(number_in(*independence, "kl") >= shared - 1e-6);
      CHECK(number_in(*independence, "valid_mass") <= 1 + 1e-6);
      if (says == "digits-apart") {  // held against the model that spells digits in turn
        CHECK(*independence->find("reference")->as_text() == files.back());
      } else {
        CHECK(number_in(*independence, "kl") == doctest::Approx(shared).epsilon(1e-6));
      }
    }
    const auto* beams = found.find("beams");
    REQUIRE((beams != nullptr) == (says == "items" || says == "digits-in-turn"));
    if (beams != nullptr) {
      REQUIRE(beams->as_array()->size() == 3);
      const auto &narrow = beams->as_array()->front(), &whole = beams->as_array()->back();
      CHECK(number_in(narrow, "mass") < number_in(whole, "mass"));
      CHECK(number_in(whole, "width") == 64);
      CHECK(number_in(whole, "mass") == doctest::Approx(1));
      CHECK(number_in(whole, "overlap") == 1);
      CHECK(number_in(whole, "lost") == 0);
      CHECK(number_in(whole, "hr") == number_in(whole, "exact_hr"));
      const double leaked = number_in(found, "leaked");
      CHECK((says == "items" ? leaked == 0 : leaked > 0 && leaked < 1));
    }
  }
  CHECK_FALSE(std::getline(lines, line));

  const auto evaluated = run_simgr(folder, {"evaluate", files.back(), "--data", data});
  REQUIRE(evaluated.code == 0);  // by its lists: there is no full ranking
  CHECK(evaluated.out.find("  MRR - (full ranking)") != std::string::npos);

  const auto text = run_simgr(
      folder, with({"analyse", "decoding", "--data", data, "--users", "40", "--model"}, files));
  REQUIRE(text.code == 0);
  for (const char* part : {"beams through its prefixes", "no beam decodes it", "total correlation",
                           "choices of items that no list holds", "a softmax over items"}) {
    INFO(part);
    CHECK(text.out.find(part) != std::string::npos);
  }

  // Alone, a parallel model is held against the training interactions; greedy and other words are told apart from it.
  const auto alone =
      run_simgr(folder, {"analyse", "decoding", "--data", data, "--model", files[1]});
  CHECK(alone.code == 0);
  CHECK(alone.out.find("against the training interactions, whose items have") != std::string::npos);
  CHECK(run_simgr(folder, {"analyse", "--data", data}).code == 2);
  CHECK(run_simgr(folder,
                  {"analyse", "decoding", "--data", data, "--model", files[2], "--widths", "0"})
            .code == 2);
  const auto no_model = run_simgr(folder, {"analyse", "decoding", "--data", data, "--model", ids});
  CHECK(no_model.code == 1);
  CHECK(no_model.err.find(ids) != std::string::npos);
}

TEST_CASE("compare sets beams against exact lists, and digits apart against a reference") {
  const TemporaryFolder folder;
  const std::string data = folder.file("data");
  simgr_test::write_data_folder(data);
  const auto compared = run_simgr(folder, with({"compare", "--data", data, "--models",
                                                "rpg,simgr,lc-rec", "--out", folder.file("models")},
                                               little));
  INFO(compared.err);
  REQUIRE(compared.code == 0);
  CHECK(compared.out.find("lc-rec spells items") != std::string::npos);
  CHECK(compared.out.find("rpg predicts digits apart") != std::string::npos);
  const std::string page = simgr_test::read_bytes(folder.file("models/report.html"));
  for (const char* part : {"Beams against exact lists", "lc-rec, exact", "Digits predicted apart",
                           "its own, were they apart"}) {
    INFO(part);
    CHECK(page.find(part) != std::string::npos);
  }
  CHECK(page.find(" 5 users of the test split") == std::string::npos);

  const auto fewer = [&](const char* users) {
    const auto run =
        run_simgr(folder, with({"compare", "--data", data, "--models", "rpg,simgr,lc-rec", "--out",
                                folder.file("models"), "--users", users},
                               little));
    INFO(run.err);
    CHECK(run.code == 0);
    return run.out + simgr_test::read_bytes(folder.file("models/report.html"));
  };
  CHECK(fewer("5").find(" 5 users of the test split") != std::string::npos);
  const std::string none = fewer("0");
  CHECK(none.find("lc-rec spells items") == std::string::npos);
  CHECK(none.find("Beams against exact lists") == std::string::npos);
  CHECK(none.find("Digits predicted apart") == std::string::npos);
}
