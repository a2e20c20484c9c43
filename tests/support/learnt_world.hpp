// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <doctest/doctest.h>

#include <simgr/data/split.hpp>
#include <simgr/eval/model.hpp>
#include <simgr/io/model_file.hpp>
#include <simgr/train/trainer.hpp>

#include <support/temporary_folder.hpp>

namespace simgr_test {

/// Forty users who walk from item to item in the order of their ids, six steps each.
inline simgr::data::Split walks(simgr::Index items) {
  simgr::data::Interactions interactions{.items = items};
  for (simgr::Index user = 0; user < 40; ++user) {
    std::vector<simgr::ItemId> history;
    for (simgr::Index t = 0; t < 6; ++t) {
      history.push_back(static_cast<simgr::ItemId>((user + t) % items));
    }
    interactions.histories.push_back(history);
  }
  return simgr::data::leave_one_out(interactions);
}

/// Trains on walks: the loss falls below `share` of that of the first epoch, and most users' next
/// item is among the first ten.
template <class Model>
void check_learns(Model& model, const simgr::train::FitOptions& options, double share) {
  const auto split = walks(model.items());
  double first = 0, last = 0;
  model.fit(split, options, [&](const simgr::train::EpochReport& epoch) {
    (epoch.epoch == 1 ? first : last) = epoch.loss;
  });
  CHECK(last < share * first);
  CHECK(simgr::eval::evaluate_model(model, split.test).at(10).all.hr > 0.5);
}

/// Saved and loaded it lists the same, to the bit.   -> what was loaded
template <class Model>
Model check_saved(const Model& model) {
  const TemporaryFolder folder;
  model.save(folder.file("model.simgr"));
  Model loaded = Model::load(folder.file("model.simgr"));
  const std::vector<simgr::ItemId> history{7, 8, 9};
  const simgr::RecommendOptions all{.seen = simgr::ranker::Seen::keep};
  const auto before = model.recommend(history, 10, all), again = loaded.recommend(history, 10, all);
  REQUIRE(before.size() == again.size());
  for (std::size_t i = 0; i < before.size(); ++i) {
    CHECK(before[i].item == again[i].item);
    CHECK(before[i].score == again[i].score);
  }
  return loaded;
}

/// That, and an item that is added with codes and text of the first in a list has its score.
template <class Model>
void check_saved_and_extended(const Model& model) {
  Model loaded = check_saved(model);
  const std::vector<simgr::ItemId> history{7, 8, 9};
  const simgr::RecommendOptions all{.seen = simgr::ranker::Seen::keep};
  const auto before = model.recommend(history, 10, all);
  const auto added = static_cast<simgr::ItemId>(model.items());
  const simgr::ItemId best = before.front().item;
  const auto texts = model.catalogue().text_vectors.view();
  loaded.add_items(model.catalogue().ids.codes.view().slice(best, 1), {},
                   texts.size() > 0 ? texts.slice(best, 1) : texts);
  const auto after = loaded.recommend(history, 10, all);
  REQUIRE(after.size() >= 2);
  if (texts.size() >
      0) {  // a text alone is another product than all of them: the last bit may differ
    const bool swapped = after[0].item == added;
    CHECK(after[swapped ? 1 : 0].item == before[0].item);
    CHECK(after[swapped ? 0 : 1].item == added);
    CHECK(after[1].score == doctest::Approx(after[0].score).epsilon(1e-5));
    return;
  }
  CHECK(after[0].item == before[0].item);
  CHECK(after[1].item == added);
  CHECK(after[1].score == after[0].score);
}

}  // namespace simgr_test
