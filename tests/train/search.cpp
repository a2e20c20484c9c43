// SPDX-License-Identifier: Apache-2.0
#include <simgr/train/search.hpp>

#include <cmath>
#include <functional>
#include <map>

#include <doctest/doctest.h>
#include <support/temporary_folder.hpp>

namespace {

using namespace simgr::train;
using simgr::Index;
using simgr_test::TemporaryFolder;

/// Time stands still, so that an epoch takes what its report says.
struct StandingClock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<StandingClock>;
  static time_point now() { return {}; }
};

const std::vector<simgr::FieldText> toy_fields = {{"rate", "0.5", "", ""}};
const std::vector<Chosen> toy_head = {{"model", "toy"}, {"space", "rate=0..1"}};

/// Trainings whose validation follows from rate and epoch; its states outlive a search, as files do.
struct ToyTrainings {
  std::map<Index, Index> states;  // epochs that the state of a trial has
  Index trained = 0;              // epochs, of all
  Index dies_at = -1;             // rate of the trial that cannot be trained

  static double validation(double rate, Index epoch) {
    return (1 - std::abs(rate - 0.3)) * (1 - std::exp(-0.3 * static_cast<double>(epoch)));
  }
  SearchTurnEnd operator()(const SearchTurn& turn,
                           const std::function<bool(const EpochReport&)>& epoch) {
    if (turn.trial == dies_at) {
      return {0, "it cannot be"};
    }
    const double rate = std::stod(turn.settings->front().value);
    Index& state = states[turn.trial];
    state = turn.fresh ? 0 : state;
    for (bool go_on = state < turn.until; go_on;) {
      EpochReport report;
      report.epoch = state + 1;
      report.loss = 1.0 / static_cast<double>(report.epoch);
      report.seconds = 1.5 + rate;
      report.validation_ndcg10 = validation(rate, report.epoch);
      go_on = epoch(report) && report.epoch < turn.until;
      state = report.epoch;
      ++trained;
    }
    return {state, {}};
  }
};

Search<StandingClock> begin(const std::string& path, const HalvingOptions& options,
                            const std::string& text = "rate=0..1") {
  return Search<StandingClock>::try_begin(SearchSpace::try_parse(text, toy_fields).value_or_raise(),
                                          11, options,
                                          SearchJournal::try_open(path, toy_head).value_or_raise())
      .value_or_raise();
}

/// @return  the trial that won
Index run(const std::string& path, const HalvingOptions& options, ToyTrainings& trainings,
          const std::string& text = "rate=0..1") {
  auto search = begin(path, options, text);
  const auto failure = search.try_run(trainings, [](const SuccessiveHalving&) {});
  INFO((failure ? failure->what() : ""));
  REQUIRE(!failure);
  REQUIRE(search.halving().best());
  return *search.halving().best();
}

std::string error_of(const std::string& path, const HalvingOptions& options = {.trials = 4}) {
  auto journal = SearchJournal::try_open(path, toy_head);
  if (!journal) {
    return journal.error().what();
  }
  auto search = Search<StandingClock>::try_begin(
      SearchSpace::try_parse("rate=0..1", toy_fields).value_or_raise(), 11, options,
      std::move(*journal));
  return search ? "" : search.error().what();
}

}  // namespace

TEST_CASE("rungs are shares of a whole training, and evaluated epochs") {
  const auto rungs = [](const HalvingOptions& options) {
    const SuccessiveHalving halving(options);
    return std::vector<Index>(halving.rungs().begin(), halving.rungs().end());
  };
  CHECK(rungs({.epochs = 40}) == std::vector<Index>{5, 14, 40});
  CHECK(rungs({.epochs = 40, .evaluate_every = 4}) == std::vector<Index>{8, 16, 40});
  CHECK(rungs({.epochs = 40, .rungs = 1}) == std::vector<Index>{40});
  CHECK(rungs({.epochs = 2}) == std::vector<Index>{1, 2});
  CHECK(rungs({.epochs = 1}) == std::vector<Index>{1});
  CHECK(rungs({.epochs = 6, .evaluate_every = 4}) == std::vector<Index>{4, 6});
}

TEST_CASE("of nine trials three go on and one becomes whole, by validation") {
  const TemporaryFolder folder;
  ToyTrainings trainings;
  auto search = begin(folder.file("j"), {.epochs = 18, .trials = 9});
  CHECK(search.halving().planned_epochs() == 9 * 2 + 3 * 4 + 12);
  REQUIRE(!search.try_run(trainings, [](const SuccessiveHalving&) {}));
  CHECK(trainings.trained == 9 * 2 + 3 * 4 + 12);
  CHECK(search.halving().epochs() == trainings.trained);
  std::map<Index, int> lengths;
  Index nearest = 0;
  const auto trials = search.halving().trials();
  const auto distance = [&](Index trial) {
    return std::abs(std::stod(trials[static_cast<std::size_t>(trial)].settings[0].value) - 0.3);
  };
  for (Index t = 0; t < 9; ++t) {
    ++lengths[trials[static_cast<std::size_t>(t)].epochs()];
    nearest = distance(t) < distance(nearest) ? t : nearest;
  }
  CHECK(lengths == std::map<Index, int>{{2, 6}, {6, 2}, {18, 1}});
  CHECK(search.halving().best() == nearest);
  for (Index t = 0; t < 9; ++t) { CHECK(search.halving().alive(t) == (t == nearest)); }
  CHECK(trials[0].settings[0].value == "0.5");  // the usual
}

TEST_CASE("one rung is random search: every trial becomes whole") {
  const TemporaryFolder folder;
  ToyTrainings trainings;
  run(folder.file("j"), {.epochs = 3, .rungs = 1, .trials = 5}, trainings);
  CHECK(trainings.trained == 15);
}

TEST_CASE("a search that is killed at any byte of its journal ends with the same journal") {
  const TemporaryFolder folder;
  const HalvingOptions by_trials{.epochs = 4, .rungs = 2, .factor = 2, .trials = 3};
  const HalvingOptions by_budget{.epochs = 4, .rungs = 2, .factor = 2, .budget = 17};
  for (const HalvingOptions& options : {by_trials, by_budget}) {
    CAPTURE(options.budget);
    const std::string whole = folder.file("whole"), cut = folder.file("cut");
    std::filesystem::remove(whole);
    ToyTrainings trainings;
    trainings.dies_at = 1;
    const Index best = run(whole, options, trainings);
    const std::string journal = simgr_test::read_bytes(whole);
    REQUIRE(std::count(journal.begin(), journal.end(), '\n') > 10);
    for (std::size_t bytes = 0; bytes <= journal.size(); ++bytes) {
      CAPTURE(bytes);
      simgr_test::write_bytes(cut, journal.substr(0, bytes));
      ToyTrainings resumed;
      resumed.dies_at = 1;
      {  // states are saved behind the journal: as far as it says, or an epoch less
        const auto killed = begin(cut, options);
        for (std::size_t t = 0; t < killed.halving().trials().size(); ++t) {
          resumed.states[static_cast<Index>(t)] = std::max<Index>(
              0, killed.halving().trials()[t].epochs() - static_cast<Index>(bytes % 2));
        }
      }
      CHECK(run(cut, options, resumed) == best);
      CHECK(simgr_test::read_bytes(cut) == journal);
    }
  }
}

TEST_CASE("a budget leaves time for the best to become whole, and more budget goes on") {
  const TemporaryFolder folder;
  const std::string path = folder.file("j");
  ToyTrainings trainings;
  const HalvingOptions options{.epochs = 9, .budget = 60};
  const Index best = run(path, options, trainings);
  {
    const auto search = begin(path, options);
    const auto& halving = search.halving();
    CHECK(halving.spent() <= 60 + 2.5);
    CHECK(halving.spent() > 50);
    CHECK(halving.trials().size() > 9);
    CHECK(halving.trials()[static_cast<std::size_t>(best)].ended);
    CHECK(!halving.next());
  }
  const Index before = trainings.trained;
  run(path, {.epochs = 9, .budget = 120}, trainings);
  CHECK(trainings.trained > before + 20);
}

TEST_CASE("a budget below one whole training ends the usual settings early") {
  const TemporaryFolder folder;
  ToyTrainings trainings;
  CHECK(run(folder.file("j"), {.epochs = 100, .budget = 10}, trainings) == 0);
  CHECK(trainings.states.size() == 1);
  CHECK(trainings.trained == 5);  // of 2 s each
}

TEST_CASE("a space of few configurations ends, and so does one that cannot be trained") {
  const TemporaryFolder folder;
  ToyTrainings trainings;
  run(folder.file("few"), {.epochs = 2, .budget = 1e6}, trainings, "rate=0.1|0.5|0.9");
  CHECK(trainings.states.size() == 3);

  auto search = begin(folder.file("none"), {.epochs = 2, .budget = 1e6});
  const auto refuse = [](const SearchTurn&, const auto&) { return SearchTurnEnd{0, "no"}; };
  REQUIRE(!search.try_run(refuse, [](const SuccessiveHalving&) {}));
  CHECK(search.halving().trials().size() == 20);
  CHECK(!search.halving().best());
}

TEST_CASE("a training that ends before its turn does is not asked again") {
  const TemporaryFolder folder;
  ToyTrainings trainings;
  const auto impatient = [&](const SearchTurn& turn, const auto& epoch) {
    SearchTurn shorter = turn;
    shorter.until = std::min<Index>(turn.until, 3);
    return trainings(shorter, epoch);
  };
  auto search = begin(folder.file("j"), {.epochs = 9, .rungs = 1, .trials = 2});
  REQUIRE(!search.try_run(impatient, [](const SuccessiveHalving&) {}));
  CHECK(trainings.trained == 6);
  CHECK(search.halving().trials()[0].ended);
  CHECK(simgr_test::read_bytes(folder.file("j")).find("{\"trial\":2,\"ended\":") !=
        std::string::npos);
}

TEST_CASE("a trainer that trains otherwise than the journal says is told") {
  const TemporaryFolder folder;
  const std::string path = folder.file("j");
  const HalvingOptions options{.epochs = 9, .rungs = 1, .trials = 2};
  ToyTrainings trainings;
  run(path, options, trainings);
  const std::string journal = simgr_test::read_bytes(path);
  const auto cut = [&](Index state, double shift) {
    simgr_test::write_bytes(path, journal.substr(0, journal.find("\"epoch\":5") - 11));
    ToyTrainings resumed;
    resumed.states[0] = state;
    auto search = begin(path, options);
    const auto failure = search.try_run(
        [&](const SearchTurn& turn, const auto& epoch) {
          return resumed(turn, [&](EpochReport report) {
            *report.validation_ndcg10 += shift;
            return epoch(report);
          });
        },
        [](const SuccessiveHalving&) {});
    return failure ? std::string(failure->what()) : std::string();
  };
  CHECK(cut(4, 0) == "");
  CHECK(cut(2, 0) == "");
  CHECK(cut(7, 0).find("the state of trial 1 is of epoch 7, the journal ends with epoch 4") !=
        std::string::npos);
  CHECK(cut(9, 0).find("is of epoch 9, the journal ends with epoch 4") != std::string::npos);
  CHECK(cut(2, 1e-9).find("trial 1, epoch 3 had a validation NDCG@10 of") != std::string::npos);
}

TEST_CASE("a journal that is damaged, of something else or of another search is refused") {
  const TemporaryFolder folder;
  const std::string path = folder.file("j");
  ToyTrainings trainings;
  run(path, {.epochs = 20, .trials = 4}, trainings);
  const std::string good = simgr_test::read_bytes(path);
  CHECK(error_of(path) == "");
  const auto fails = [&](const std::string& bytes, const std::string& part) {
    CAPTURE(part);
    simgr_test::write_bytes(path, bytes);
    CAPTURE(error_of(path));
    CHECK(error_of(path).find(part) != std::string::npos);
    CHECK(simgr_test::read_bytes(path) == bytes);  // it is left as it was
  };
  const std::string head = good.substr(0, good.find('\n') + 1);
  const auto second = good.find('\n', head.size()) + 1;
  const std::string begun = good.substr(0, second);
  fails("hello\n", "j:1: this is no journal of a search");
  fails("hello", "this is no journal of a search");
  fails("{\"simgr.search\":1,\"model\":\"toy\",\"space\":\"x\"}\n",
        "differs from this one: space was x, is rate=0..1");
  fails("{\"simgr.search\":1}\n", "model was unknown, is toy; space was unknown");
  fails("{\"simgr.search\":1\n", "j:1");
  fails(head + "\n", "j:2");
  fails(head + "{\"trial\":0,\"settings\":{}}\n", "j:2: trial: expected the number of a trial");
  fails(head + "{\"trial\":1,\"settings\":[]}\n", "j:2: settings: expected an object, found array");
  fails(head + "{\"trial\":1,\"settings\":{\"rate\":1}}\n", "expected texts, found integer");
  fails(head + "{\"trial\":1,\"settings\":{\"rate\":\"0.6\"}}\n",
        "j:2: trial 1 has settings that seed and space do not give");
  fails(head + "{\"trial\":2,\"settings\":{\"rate\":\"0.5\"}}\n", "trial 2 begins behind trial 0");
  fails(begun + "{\"trial\":2,\"epoch\":1,\"seconds\":1}\n", "j:3: trial 2 has not begun");
  fails(begun + "{\"trial\":1,\"epoch\":2,\"seconds\":1}\n", "expected epoch 1, found 2");
  fails(begun + "{\"trial\":1,\"epoch\":1}\n", "seconds: expected a time");
  fails(begun + "{\"trial\":1,\"epoch\":1,\"seconds\":-1}\n", "seconds: expected a time");
  fails(begun + "{\"trial\":1,\"epoch\":1,\"seconds\":1,\"validation_ndcg@10\":2}\n",
        "expected 0 to 1");
  fails(begun + "{\"trial\":1,\"ended\":7}\n", "ended: expected a text, found integer");
  fails(begun + "{\"trial\":1,\"failed\":\"x\"}\n{\"trial\":1,\"ended\":\"x\"}\n",
        "j:4: trial 1 has ended before");
  fails(begun + "{\"trial\":1}\n", "expected settings, an epoch, ended or failed");
  fails(begun + std::string("\0\0\n", 3), "j:3");

  simgr_test::write_bytes(path, good);
  const auto first = SearchJournal::try_open(path, toy_head);
  REQUIRE(first.ok());
  CHECK(error_of(path).find("another search writes this journal now") != std::string::npos);
  CHECK(error_of(folder.path().string()).find("open: ") != std::string::npos);
}

TEST_CASE("a search without an end is refused, and so are numbers out of their ranges") {
  CHECK(check(HalvingOptions{}).find("a search needs an end") != std::string::npos);
  CHECK(check(HalvingOptions{.trials = 1}).empty());
  CHECK(check(HalvingOptions{.rungs = 9, .trials = 1}).find("rungs: expected 1 to 8") !=
        std::string::npos);
  CHECK(check(HalvingOptions{.factor = 1, .trials = 1}).find("factor") != std::string::npos);
  CHECK(check(HalvingOptions{.budget = NAN}).find("budget") != std::string::npos);
  const TemporaryFolder folder;
  CHECK(error_of(folder.file("j"), {}).find("a search needs an end") != std::string::npos);
}
