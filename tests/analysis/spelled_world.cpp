// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include <simgr/analysis/decoding_bias.hpp>
#include <simgr/baselines/lc_rec.hpp>
#include <simgr/data/split.hpp>
#include <simgr/data/synthetic_catalogue.hpp>
#include <simgr/train/trainer.hpp>

// A model that spells the items of the synthetic catalogue: its own beam, against what analysis says
// that a beam of that width does to its probabilities, and against all items one by one.

using namespace simgr;

TEST_CASE("In the synthetic catalogue, the mass of a trained model's beam is that of enumeration") {
  const auto world = data::synthetic_catalogue({.users = 150});
  const auto split = data::leave_one_out(world.interactions);
  baselines::LcRec::Config config = baselines::lc_rec_defaults.model;
  config.encoder.width = 16;
  config.encoder.layers = 1;
  config.encoder.heads = 2;
  config.encoder.dropout = config.encoder.attention_dropout = 0;
  baselines::LcRec trained({.items = 600, .ids = world.ids}, config, 5);
  trained.fit(split, {.epochs = 3, .batch = 16, .optimizer = {.rate = 3e-3}});
  for (const Index width : {Index{1}, Index{4}, Index{20}}) {
    config.ranker.width = width;
    const baselines::LcRec model(trained.catalogue(), config, std::as_const(trained).weights());
    Ragged<ItemId> histories;
    constexpr Index users = 20;
    for (Index u = 0; u < users; ++u) { histories.push_back(split.test.histories[u]); }
    const Trie& trie = model.trie();
    std::vector<analysis::PrefixLogs> logs(users);
    for (auto& one : logs) {
      for (Index depth = 0; depth <= 3; ++depth) {
        one.at.emplace_back(static_cast<std::size_t>(trie.nodes(depth)), 0.0);
      }
    }
    model.visit_prefixes(histories, [&](Index row, Index depth, Index node, float log_p) {
      logs[static_cast<std::size_t>(row)]
          .at[static_cast<std::size_t>(depth)][static_cast<std::size_t>(node)] =
          static_cast<double>(log_p);
    });
    for (Index u = 0; u < users; ++u) {
      // The model's beam, from its decoder with a cache.
      const auto list = model.recommend(histories[u], 600, {.seen = ranker::Seen::keep});
      REQUIRE(static_cast<Index>(list.size()) == width);
      double of_beam = 0;
      std::vector<ItemId> found;
      for (const auto& [item, score] : list) {
        of_beam += std::exp(static_cast<double>(score));
        found.push_back(item);
      }
      // Enumeration: every item, scored one by one, of which those are summed.
      const auto& prefixes = logs[static_cast<std::size_t>(u)];
      std::vector<double> leaves(prefixes.leaves().begin(), prefixes.leaves().end());
      double all = 0, enumerated = 0;
      for (ItemId item = 0; item < 600; ++item) {
        const double p = std::exp(leaves[static_cast<std::size_t>(trie.leaf(item))]);
        all += p;
        enumerated += std::find(found.begin(), found.end(), item) != found.end() ? p : 0;
      }
      CHECK(std::abs(of_beam - enumerated) < 1e-6);
      // Analysis: the beam through its prefixes.
      const auto trace = analysis::beam_through(trie, prefixes, width);
      analysis::normalise(leaves);
      CHECK(std::abs(analysis::captured(leaves, trace.leaves()).mass - enumerated / all) < 1e-6);
      std::vector<ItemId> reached = analysis::best_items(trie, leaves, trace.leaves(), width);
      std::sort(reached.begin(), reached.end());
      std::sort(found.begin(), found.end());
      CHECK(reached == found);
      CHECK(all <= 1 + 1e-5);
    }
  }
}
