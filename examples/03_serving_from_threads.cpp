// SPDX-License-Identifier: Apache-2.0
// Four threads serve while a better model is trained and takes over: no lock around a request.

#include <atomic>
#include <cstdio>
#include <memory>
#include <thread>
#include <vector>

#include <simgr/baselines/sasrec.hpp>
#include <simgr/data/split.hpp>
#include <simgr/data/synthetic_catalogue.hpp>
#include <simgr/serving.hpp>
#include <simgr/train/trainer.hpp>

using Model = simgr::baselines::SasRec;

namespace {

std::shared_ptr<const Model> trained(const simgr::data::Split& split, simgr::Index epochs) {
  auto model = std::make_shared<Model>(
      simgr::Catalogue{.items = split.items},
      Model::Config{.encoder = {.width = 32, .layers = 1, .heads = 2, .dropout = 0.1}});
  model->fit(split, {.epochs = epochs, .evaluate_every = 0});
  return model;  // from here on it is const: nothing can change it while it serves
}

}  // namespace

int main() {
  const auto world = simgr::data::synthetic_catalogue({.users = 500});
  const auto split = simgr::data::leave_one_out(world.interactions);
  simgr::ModelSlot<Model> slot(trained(split, 1));

  std::atomic<bool> open = true;
  std::atomic<long> answers = 0;
  const auto serve = [&](simgr::Index user) {
    std::vector<simgr::Recommended> list(10);  // our memory: nothing is allocated once warm
    while (open) {
      const auto model = slot.load();  // this request is answered by this model, whatever comes
      model->recommend(split.test.histories[user], {}, list);
      user = (user + 1) % split.test.histories.sequences();
      ++answers;
    }
  };
  std::vector<std::thread> threads;
  for (simgr::Index first = 0; first < 4; ++first) { threads.emplace_back(serve, 100 * first); }

  for (const simgr::Index epochs : {2, 4}) {
    slot.store(trained(split, epochs));
    std::printf("a model of %td epochs took over after %ld answers\n", epochs, answers.load());
  }
  open = false;
  for (std::thread& thread : threads) { thread.join(); }
  std::printf("%ld answers\n", answers.load());
  return 0;
}
