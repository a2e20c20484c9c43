// SPDX-License-Identifier: Apache-2.0

// Autoregressive decoding: a decoder-only model of width 128, 4 layers, 4 heads, feed-forward 512,
// histories of 20 items of 4 digits, 12,101 items, one thread. Prints one JSON line for each way:
// milliseconds of processor time a user, GFLOP/s of the products that the prefixes need (attention
// to histories included), and the share of the core's measured peak of fused multiply-adds.
//
//   beam 20 along the trie, lists of 10, for 1 and for 32 users in one call
//   the exact log-probability of every item: each distinct prefix of the trie once a user
//
//   bench_decode [rounds]

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <bench/processor.hpp>

#include <simgr/baselines/lc_rec.hpp>

namespace {

using simgr::Index;
using simgr::ItemId;
using Model = simgr::baselines::LcRec;

constexpr Index items = 12101, length = 20;

/// Items under 256 first digits, 64 second ones after each, and 256 third ones; a fourth tells
/// equal ones apart: as many prefixes as residual k-means makes of Beauty.
simgr::Catalogue catalogue() {
  simgr::Catalogue made{.items = items};
  simgr::Rng rng(1);
  made.ids.codes = simgr::OwnedMatrix<std::int32_t>(items, 4);
  made.ids.codes_per_digit = {256, 256, 256, 4};
  for (Index item = 0; item < items; ++item) {
    const Index first = rng.below(256), second = (7 * first + rng.below(64)) % 256;
    const std::int32_t digits[] = {
        static_cast<std::int32_t>(first), static_cast<std::int32_t>(second),
        static_cast<std::int32_t>(rng.below(256)), static_cast<std::int32_t>(rng.below(2))};
    std::copy(digits, digits + 4, made.ids.codes.view().row(item).begin());
  }
  return made;
}

/// Operations of products over `tokens` tokens that each see about `seen` others, with scores for
/// `scored` of them.
double operations(const Model& model, double tokens, double seen, double scored) {
  const auto& c = model.config().encoder;
  const double width = static_cast<double>(c.width), inner = static_cast<double>(c.inner);
  const double layer = 4 * width * width + 2 * width * inner + 2 * seen * width;
  return 2 * (tokens * static_cast<double>(c.layers) * layer +
              scored * width * static_cast<double>(model.trie().table_rows()));
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 20;
  Model::Config config = simgr::baselines::lc_rec_defaults.model;
  config.encoder.inner = 512;
  const Model model(catalogue(), config);
  const auto& trie = model.trie();
  simgr::Rng rng(2);
  simgr::Ragged<ItemId> histories;
  for (int user = 0; user < 32; ++user) {
    std::vector<ItemId> history;
    for (Index t = 0; t < length; ++t) { history.push_back(static_cast<ItemId>(rng.below(items))); }
    histories.push_back(history);
  }
  const double ceiling = bench::peak();
  const auto report = [&](const char* way, Index users, double flops, int times, auto&& once) {
    once();
    double best = 1e9;
    for (int round = 0; round < times; ++round) {
      const double start = bench::seconds();
      once();
      best = std::min(best, bench::seconds() - start);
    }
    const double of_user = best / static_cast<double>(users), speed = flops / of_user * 1e-9;
    std::printf("{\"bench\": \"decode\", \"way\": \"%s\", \"users\": %td, \"ms_per_user\": %.3f, "
                "\"gflops\": %.1f, \"peak\": %.1f, \"share\": %.2f}\n",
                way, users, of_user * 1e3, speed, ceiling, speed / ceiling);
  };
  const double read = 4 * length, nodes = 3.0 * static_cast<double>(config.ranker.width);
  for (const Index users : {Index{1}, Index{32}}) {
    const simgr::RaggedView<ItemId> some{
        std::span<const ItemId>(histories.values).first(static_cast<std::size_t>(users * length)),
        simgr::Offsets(histories.offsets).first(static_cast<std::size_t>(users) + 1)};
    std::vector<simgr::Recommended> list(static_cast<std::size_t>(users * 10));
    std::vector<Index> found(static_cast<std::size_t>(users));
    const double flops =
        operations(model, read, read / 2, 1) + operations(model, nodes, read, nodes);
    report("beam 20", users, flops, users == 1 ? rounds * 10 : rounds, [&] {
      model.recommend(some, 10, {}, list, simgr::Vector<Index>(found.data(), {users}));
    });
  }
  const double prefixes = static_cast<double>(trie.nodes(1) + trie.nodes(2) + trie.nodes(3));
  std::printf("{\"bench\": \"decode\", \"prefixes\": %.0f}\n", prefixes);
  for (const Index users : {Index{1}, Index{4}}) {
    simgr::OwnedMatrix<float> scores(users, items);
    const simgr::RaggedView<ItemId> some{
        std::span<const ItemId>(histories.values).first(static_cast<std::size_t>(users * length)),
        simgr::Offsets(histories.offsets).first(static_cast<std::size_t>(users) + 1)};
    report("exact", users, operations(model, prefixes, read, prefixes), std::max(1, rounds / 5),
           [&] { model.score(some, scores.view()); });
  }
  return 0;
}
