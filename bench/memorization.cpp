// SPDX-License-Identifier: Apache-2.0

// The whole analysis of memorization for all test users and five systems, which are read from files of
// rankings: split, transitions and candidates of one to four hops, labels of targets and lists, both
// groups. One thread; prints one JSON line, processor time, medians of the rounds. The rankings are
// written to a temporary folder first: popular items, one hop from all items, from the last five, from
// the last, and both mixed.
//
//   bench_memorization FILE [rounds]      FILE is sequences.tsv[.gz]

#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include <bench/timing.hpp>

#include <simgr/analysis/memorization_study.hpp>
#include <simgr/data/rankings.hpp>
#include <simgr/data/sequences.hpp>
#include <simgr/io/atomic_file.hpp>

namespace {

using namespace simgr;

void write(const std::string& path, const data::Interactions& interactions,
           const data::Evaluation& cases, const Ragged<ItemId>& lists) {
  constexpr std::size_t longest = 20;
  std::string text = "user\titems\n";
  for (Index u = 0; u < lists.sequences(); ++u) {
    text += interactions.user_key(cases.users[static_cast<std::size_t>(u)]) + "\t";
    std::size_t place = 0;
    for (const ItemId item : lists[u].first(std::min(longest, lists[u].size()))) {
      text += (place++ > 0 ? " " : "") + std::to_string(item);
    }
    text += "\n";
  }
  if (const Failure failure = io::try_replace_file(path, text)) {
    raise(*failure);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: bench_memorization FILE [rounds]\n");
    return 2;
  }
  const data::Interactions interactions = data::read_sequences(argv[1]);
  const auto folder = std::filesystem::temp_directory_path() / "simgr_bench_memorization";
  std::filesystem::create_directories(folder);
  std::vector<std::string> files;
  {
    const data::Split split = data::leave_one_out(interactions);
    const auto transitions = analysis::count_transitions(split.train, split.items);
    const auto popular = analysis::popular_lists(data::popularity(split.train, split.items),
                                                 split.test.histories, 20);
    std::vector<Ragged<ItemId>> systems{popular};
    for (const Index last : {0, 5, 1}) {
      systems.push_back(
          analysis::candidate_sets(transitions, split.test.histories, {.last = last}));
    }
    systems.push_back({});
    for (Index u = 0; u < popular.sequences(); ++u) {
      systems.back().push_back(systems[u % 2 == 0 ? 0 : 1][u]);
    }
    for (const Ragged<ItemId>& lists : systems) {
      files.push_back((folder / ("system" + std::to_string(files.size()) + ".tsv")).string());
      write(files.back(), interactions, split.test, lists);
    }
  }
  const int rounds = bench::argument(argc, argv, 2, 5);
  Index users = 0, group_m = 0;
  double ratio = 0;
  const auto run = [&](std::size_t systems) {
    const data::Split split = data::leave_one_out(interactions);
    analysis::MemorizationStudy study(split);
    users = study.users();
    group_m = study.group_m();
    for (std::size_t s = 0; s < systems; ++s) {
      ratio = study.measure(data::read_rankings(files[s], interactions, split.test)).found.ratio;
    }
  };
  const double alone = bench::median_of(rounds, [&] { run(0); }).processor;
  const double whole = bench::median_of(rounds, [&] { run(files.size()); }).processor;
  std::filesystem::remove_all(folder);
  std::printf("{\"users\":%td,\"items\":%td,\"group_m\":%td,\"systems\":%zu,\"last_ratio\":%.4f,"
              "\"study_s\":%.3f,\"study_and_systems_s\":%.3f}\n",
              users, interactions.items, group_m, files.size(), ratio, alone, whole);
}
