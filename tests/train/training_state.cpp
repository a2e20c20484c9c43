// SPDX-License-Identifier: Apache-2.0
#include <simgr/train/training_state.hpp>

#include <limits>
#include <span>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <simgr/baselines/sasrec.hpp>
#include <simgr/cpu/thread_pool.hpp>
#include <simgr/eval/model.hpp>

#include <support/copied_checkpoint.hpp>
#include <support/temporary_folder.hpp>

namespace {

using simgr::Index;
using simgr::ItemId;
using Model = simgr::baselines::SasRec;
using Trainer = simgr::train::Trainer<Model>;

simgr::data::Split cyclic_users() {
  simgr::data::Interactions interactions{.items = 19};
  for (ItemId user = 0; user < 31; ++user) {
    std::vector<ItemId> history;
    for (ItemId i = 0; i < 4 + user % 5; ++i) { history.push_back((user * 3 + i * 2) % 19); }
    interactions.histories.push_back(history);
  }
  return simgr::data::leave_one_out(interactions);
}

Model fresh_model() {
  return Model({.items = 19},
               {.encoder = {.width = 8, .layers = 1, .heads = 2, .max_length = 6, .dropout = 0.3}});
}

// 31 examples, two batches of 4 a step: 4 steps an epoch, 40 in all.
simgr::train::FitOptions all_of_it() {
  return {.epochs = 10,
          .seed = 3,
          .batch = 4,
          .accumulate = 2,
          .patience = 50,
          .clip = 1,
          .moving_average = 0.9,
          .optimizer = {.rate = 0.01, .weight_decay = 0.1},
          .schedule = {.kind = simgr::train::Schedule::cosine, .warmup = 0.1}};
}

struct Outcome {
  std::vector<float> weights;
  std::vector<double> losses;  // of the epochs that this part ended
  simgr::train::FitResult result;
};

/// Runs until `steps` more are done or training ends.
template <class X>
bool advance(Trainer& trainer, Index steps, Outcome& outcome, X& executor) {
  const auto note = [&](const simgr::train::EpochReport& epoch) {
    outcome.losses.push_back(epoch.loss);
  };
  for (Index i = 0; i < steps; ++i) {
    if (!trainer.step(note, executor)) {
      return false;
    }
  }
  return true;
}

template <class X>
Outcome finished(Model& model, Trainer& trainer, Outcome outcome, X& executor) {
  while (advance(trainer, 1000, outcome, executor)) {}
  outcome.result = trainer.finish();
  outcome.weights.assign(model.weights().begin(), model.weights().end());
  return outcome;
}

template <class X>
Outcome uninterrupted(const simgr::data::Split& split, const simgr::train::FitOptions& options,
                      X& executor) {
  Model model = fresh_model();
  Trainer trainer(model, split, options);
  return finished(model, trainer, {}, executor);
}

void check_resuming_everywhere(const simgr::train::FitOptions& options) {
  const simgr_test::TemporaryFolder folder;
  const auto split = cyclic_users();
  simgr::Serial serial;
  const Outcome whole = uninterrupted(split, options, serial);
  Index resumed_runs = 0;
  for (Index stop = 0; stop <= 40; ++stop) {
    CAPTURE(stop);
    Outcome first;
    {
      Model model = fresh_model();
      Trainer trainer(model, split, options);
      const bool goes_on = advance(trainer, stop, first, serial);
      simgr::train::save_training_state(trainer, folder.file("state"));
      resumed_runs += goes_on ? 1 : 0;
    }
    Model model = fresh_model();
    Trainer trainer(model, split, options);
    simgr::train::load_training_state(trainer, folder.file("state"));
    const Outcome rest = finished(model, trainer, first, serial);
    CHECK(rest.losses == whole.losses);
    CHECK(rest.weights == whole.weights);
    CHECK(rest.result.epochs == whole.result.epochs);
    CHECK(rest.result.best_epoch == whole.result.best_epoch);
    CHECK(rest.result.best_validation_ndcg10 == whole.result.best_validation_ndcg10);
  }
  CHECK(resumed_runs >= 8);
}

TEST_CASE("resumed at any step, a run ends with the bits of the uninterrupted one") {
  check_resuming_everywhere(all_of_it());
}

TEST_CASE("early stopping, SGD and no average resume as well") {
  auto options = all_of_it();
  options.patience = 2;
  options.moving_average = 0;
  options.optimizer.kind = simgr::train::Optimizer::sgd;
  options.optimizer.rate = 0.5;
  check_resuming_everywhere(options);
}

TEST_CASE("a run in mixed precision resumes as well, and its weights are numbers of bfloat16") {
  auto options = all_of_it();
  options.moving_average = 0;
  const auto split = cyclic_users();
  simgr::Serial serial;
  const std::vector<float> full = uninterrupted(split, options, serial).weights;
  options.precision = simgr::train::Precision::mixed;
  check_resuming_everywhere(options);
  const std::vector<float> mixed = uninterrupted(split, options, serial).weights;
  CHECK(mixed != full);
  for (const float weight : mixed) {
    REQUIRE(weight == simgr::float_from_bf16(simgr::bf16_from_float(weight)));
  }
  options.moving_average = 0.9;
  CHECK(check(options).starts_with("moving_average: expected 0 with the precision mixed"));
}

TEST_CASE("one thread and two give the same bits") {
  const auto split = cyclic_users();
  simgr::cpu::ThreadPool one(1), two(2);
  const Outcome a = uninterrupted(split, all_of_it(), one);
  const Outcome b = uninterrupted(split, all_of_it(), two);
  CHECK(a.weights == b.weights);
  CHECK(a.losses == b.losses);
}

TEST_CASE("without an evaluation there is no best, and the average is served however often asked") {
  auto options = all_of_it();
  options.evaluate_every = 0;
  options.epochs = 2;
  const auto split = cyclic_users();
  simgr::Serial serial;
  Model model = fresh_model();
  Trainer trainer(model, split, options);
  Outcome outcome;
  while (advance(trainer, 1000, outcome, serial)) {}
  const std::vector<float> last(model.weights().begin(), model.weights().end());
  const auto average = trainer.average()->average();
  const std::vector<float> expected(average.begin(), average.end());
  REQUIRE(expected != last);
  for (int time = 0; time < 2; ++time) {
    const auto result = trainer.finish();
    CHECK(result.epochs == 2);
    CHECK(result.best_epoch == 0);
    CHECK_FALSE(result.best_validation_ndcg10);
    CHECK(std::equal(expected.begin(), expected.end(), model.weights().begin()));
  }
}

TEST_CASE("what becomes of a history's items in validations is an option, and the result says it") {
  using simgr::ranker::Seen;
  const auto split = cyclic_users();
  simgr::Serial serial;
  for (const Seen seen : {Seen::keep, Seen::zero, Seen::remove}) {
    auto options = all_of_it();
    options.seen = seen;
    Model model = fresh_model();
    Trainer trainer(model, split, options);
    const auto result = finished(model, trainer, {}, serial).result;
    CHECK(result.seen == seen);
    const auto ndcg = [&](Seen other) {
      return simgr::eval::evaluate_model(model, split.validation, {.seen = other, .cutoffs = {10}})
          .at(10)
          .all.ndcg;
    };
    CHECK(result.best_validation_ndcg10.value() == doctest::Approx(ndcg(seen)).epsilon(1e-12));
    CHECK(ndcg(Seen::keep) < ndcg(Seen::remove) - 0.01);
  }
}

TEST_CASE("a state of which a number is not finite is refused and changes nothing") {
  const simgr_test::TemporaryFolder folder;
  const auto split = cyclic_users();
  simgr::Serial serial;
  Outcome outcome;
  Model model = fresh_model();
  const auto refused = [&](const char* tensor, auto&& spoil) {
    Model spoiled = fresh_model();
    Trainer broken(spoiled, split, all_of_it());
    advance(broken, 5, outcome, serial);  // one epoch and a step: there are best weights, too
    spoil(broken)[0] = std::numeric_limits<float>::infinity();
    simgr::train::save_training_state(broken, folder.file("state"));
    const std::vector<float> before(model.weights().begin(), model.weights().end());
    Trainer trainer(model, split, all_of_it());
    const auto failure = simgr::train::try_load_training_state(trainer, folder.file("state"));
    REQUIRE(failure);
    INFO(failure->what());
    CHECK(std::string(failure->what()).find(tensor) != std::string::npos);
    CHECK(std::string(failure->what()).find("element 0 is not a finite number") !=
          std::string::npos);
    CHECK(std::equal(before.begin(), before.end(), model.weights().begin()));
    CHECK(trainer.progress().epoch == 0);
  };
  const std::string first = model.table().tensors.front().name;
  refused(first.c_str(), [](Trainer& t) { return t.model().weights(); });
  refused("moment_1/", [](Trainer& t) { return t.optimizer().moments(1); });
  refused("average/", [](Trainer& t) { return t.average()->average(); });
  refused("best/", [](Trainer& t) { return std::span<float>(t.best_weights()); });
}

TEST_CASE("a run of before a number was there goes on where the number is the default") {
  const simgr_test::TemporaryFolder folder;
  const auto split = cyclic_users();
  Model model = fresh_model();
  Trainer trainer(model, split, all_of_it());
  simgr::train::save_training_state(trainer, folder.file("state"));
  simgr_test::copied_checkpoint(simgr::io::Checkpoint::read(folder.file("state")),
                                [](std::string_view key) {
                                  return key == "simgr.config.encoder.residual_dropout" ||
                                         key == "simgr.fit.precision";
                                })
      .write(folder.file("state"));
  CHECK_FALSE(simgr::train::try_load_training_state(trainer, folder.file("state")));
  auto config = model.config();
  config.encoder.residual_dropout = 0.1;
  Model other({.items = 19}, config);
  Trainer run(other, split, all_of_it());
  const auto failure = simgr::train::try_load_training_state(run, folder.file("state"));
  REQUIRE(failure);
  CHECK(std::string(failure->what()).find("encoder.residual_dropout was -1, is 0.1") !=
        std::string::npos);
}

TEST_CASE("a state of another run is refused with what differs, and changes nothing") {
  const simgr_test::TemporaryFolder folder;
  const auto split = cyclic_users();
  Model model = fresh_model();
  Trainer trainer(model, split, all_of_it());
  simgr::train::save_training_state(trainer, folder.file("state"));
  const auto sentence = [&](Model& other, const simgr::data::Split& data,
                            const simgr::train::FitOptions& options) {
    Trainer run(other, data, options);
    const std::vector<float> before(other.weights().begin(), other.weights().end());
    const auto failure = simgr::train::try_load_training_state(run, folder.file("state"));
    CHECK(std::equal(before.begin(), before.end(), other.weights().begin()));
    return std::string(failure ? failure->what() : "loaded");
  };
  const auto contains = [](const std::string& text, const char* part) {
    INFO(text);
    CHECK(text.find(part) != std::string::npos);
  };
  Model same = fresh_model();
  CHECK(sentence(same, split, all_of_it()) == "loaded");
  auto options = all_of_it();
  options.epochs = 11;
  options.optimizer.rate = 0.02;
  contains(sentence(same, split, options),
           "epochs was 10, is 11; optimizer.rate was 0.01, is 0.02");
  Model deeper({.items = 19},
               {.encoder = {.width = 8, .layers = 2, .heads = 2, .max_length = 6, .dropout = 0.3}});
  contains(sentence(deeper, split, all_of_it()), "encoder.layers was 1, is 2");
  auto other = cyclic_users();
  std::swap(other.train.values[0], other.train.values[1]);
  contains(sentence(same, other, all_of_it()), "the data are others");
  const std::string bytes = simgr_test::read_bytes(folder.file("state"));
  simgr_test::write_bytes(folder.file("state"), std::string_view(bytes).substr(0, 3000));
  CHECK(sentence(same, split, all_of_it()) != "loaded");
}

}  // namespace
