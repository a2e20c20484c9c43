// SPDX-License-Identifier: Apache-2.0
#include <simgr/train/training_state.hpp>

#include <doctest/doctest.h>

#include <simgr/baselines/simgr.hpp>
#include <simgr/cpu/thread_pool.hpp>

#include <support/temporary_folder.hpp>

namespace {

using simgr::Index;
using simgr::ItemId;
using Encoded = simgr::baselines::SimGrEncoded;
using EncodedTrainer = simgr::train::Trainer<Encoded>;

TEST_CASE("a run over encoded items, with a stale bank and without: same bits from every step, on "
          "two threads") {
  const simgr_test::TemporaryFolder folder;
  simgr::data::Interactions interactions{.items = 12};
  for (ItemId user = 0; user < 9; ++user) {
    std::vector<ItemId> history;
    for (ItemId i = 0; i < 5; ++i) { history.push_back((user + i * 5) % 12); }
    interactions.histories.push_back(history);
  }
  const auto split = simgr::data::leave_one_out(interactions);
  for (const Index refresh : {4, 0}) {
    const auto fresh = [refresh] {
      simgr::Catalogue catalogue{.items = 12};
      catalogue.ids.codes = simgr::OwnedMatrix<std::int32_t>(12, 2);
      catalogue.ids.codes_per_digit = {4, 3};
      for (Index i = 0; i < 12; ++i) {
        catalogue.ids.codes.view()(i, 0) = static_cast<std::int32_t>(i % 4);
        catalogue.ids.codes.view()(i, 1) = static_cast<std::int32_t>(i / 4);
      }
      return Encoded(
          std::move(catalogue),
          {.encoder = {.width = 8, .layers = 1, .heads = 2, .max_length = 4, .dropout = 0.1},
           .candidates = {.refresh = refresh, .drawn = 3}});
    };
    const simgr::train::FitOptions options{.epochs = 3, .batch = 3, .optimizer = {.rate = 0.01}};
    simgr::train::Silent silent;
    simgr::cpu::ThreadPool one(1), two(2);
    const auto run_to_end = [&](Encoded& model, EncodedTrainer& trainer,
                                simgr::cpu::ThreadPool& pool) {
      while (trainer.step(silent, pool)) {}
      trainer.finish();
      return std::vector<float>(model.weights().begin(), model.weights().end());
    };
    Encoded model = fresh();
    EncodedTrainer trainer(model, split, options);
    const auto whole = run_to_end(model, trainer, one);
    for (Index stop = 0; stop < 9; ++stop) {
      CAPTURE(stop);
      {
        Encoded first = fresh();
        EncodedTrainer run(first, split, options);
        for (Index i = 0; i < stop; ++i) { run.step(silent, two); }
        simgr::train::save_training_state(run, folder.file("state"));
      }
      Encoded second = fresh();
      EncodedTrainer run(second, split, options);
      simgr::train::load_training_state(run, folder.file("state"));
      CHECK(run_to_end(second, run, two) == whole);
    }
  }
}

}  // namespace
