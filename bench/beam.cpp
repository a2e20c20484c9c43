// SPDX-License-Identifier: Apache-2.0

// TIGER (width 128, inner 1,024, 6 heads of 64, 4 + 4 layers): history of 20 items of 4 digits -> the
// 20 best of 12,088 items by a beam of 20 along the trie; random weights and ids. Prints one JSON
// line a batch: milliseconds a user of processor and of wall time, medians.
//
//   bench_beam [batch | --out DIR]    without a batch: 1 and 32
//
// --out writes what bench/peers/beam_pytorch.py reads: model.simgr, histories.txt and lists.txt, a
// line a user.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <bench/processor.hpp>

#include <simgr/baselines/tiger.hpp>
#include <simgr/io/model_file.hpp>
#include <simgr/tokenizer/random_ids.hpp>

namespace {

using namespace simgr;

constexpr Index item_count = 12088, user_count = 64, length = 20, listed = 20;

double processor_ms() {
  return bench::seconds() * 1e3;
}
double wall_ms() {
  return std::chrono::duration<double, std::milli>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}
double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

std::vector<ItemId> lists_of(const baselines::Tiger& model, RaggedView<ItemId> histories) {
  const Index users = histories.sequences();
  static std::vector<Recommended> list;
  static std::vector<Index> found;
  list.resize(static_cast<std::size_t>(users * listed));
  found.resize(static_cast<std::size_t>(users));
  model.recommend(histories, listed, {.seen = ranker::Seen::keep}, list, {found.data(), {users}});
  std::vector<ItemId> ids;
  for (const Recommended& one : list) { ids.push_back(one.item); }
  return ids;
}

void measure(const baselines::Tiger& model, const Ragged<ItemId>& users, Index batch) {
  const Index batches = std::max<Index>(1, user_count / batch);
  std::vector<double> own, wall;
  for (Index call = 0; call < std::max<Index>(5, 96 / batch); ++call) {
    Ragged<ItemId> part;
    for (Index i = 0; i < batch; ++i) {
      part.push_back(users[(call % batches * batch + i) % user_count]);
    }
    const double own_before = processor_ms(), wall_before = wall_ms();
    lists_of(model, part.view());
    if (call > 1) {  // warm
      own.push_back((processor_ms() - own_before) / static_cast<double>(batch));
      wall.push_back((wall_ms() - wall_before) / static_cast<double>(batch));
    }
  }
  std::printf("{\"bench\": \"beam\", \"batch\": %td, \"ms\": %.2f, \"wall_ms\": %.2f}\n", batch,
              median(own), median(wall));
}

bool write_rows(const std::string& path, const std::vector<ItemId>& values, Index columns) {
  std::FILE* file = std::fopen(path.c_str(), "w");
  if (file == nullptr) {
    std::fprintf(stderr, "cannot write %s\n", path.c_str());
    return false;
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::fprintf(file, "%d%c", values[i],
                 (i + 1) % static_cast<std::size_t>(columns) == 0 ? '\n' : ' ');
  }
  return std::fclose(file) == 0;
}

}  // namespace

int main(int argc, char** argv) {
  Catalogue catalogue{.items = item_count};
  catalogue.ids = tokenizer::random_ids(
      item_count, {.levels = 4, .codes = 256, .collision = tokenizer::Collision::keep});
  baselines::Tiger::Config config = baselines::tiger_defaults.model;
  config.candidates.support = DigitSupport::level;
  const baselines::Tiger model(catalogue, config);
  Rng rng(7);
  Ragged<ItemId> users;
  for (Index user = 0; user < user_count; ++user) {
    std::vector<ItemId> history(length);
    for (ItemId& item : history) { item = static_cast<ItemId>(rng.below(item_count)); }
    users.push_back(history);
  }
  if (argc == 3 && std::string(argv[1]) == "--out") {
    const std::string folder = std::string(argv[2]) + "/";
    model.save(folder + "model.simgr");
    return write_rows(folder + "histories.txt", users.values, length) &&
                   write_rows(folder + "lists.txt", lists_of(model, users.view()), listed)
               ? 0
               : 1;
  }
  if (argc > 1) {
    measure(model, users, std::max(1, std::atoi(argv[1])));
  } else {
    measure(model, users, 1);
    measure(model, users, 32);
  }
}
