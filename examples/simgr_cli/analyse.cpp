// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <iostream>
#include <optional>

#include <simgr_cli/commands.hpp>
#include <simgr_cli/decoding.hpp>
#include <simgr_cli/json_line.hpp>

#include <simgr/eval/svg.hpp>

namespace simgr_cli {

namespace {

namespace analysis = simgr::analysis;
using simgr::eval::fixed;

constexpr Index bands = 5;

/// A model of the command line, and the ids that its digits are spelt with.
struct Analysed {
  std::string file;
  OpenedModel opened;
  std::optional<simgr::Trie> trie;  // none: no model has ids

  const ServedModel& model() const { return *opened.model; }
};

const char* name_of(Family family) {
  switch (family) {
  case Family::items:
    return "a softmax over items";
  case Family::digits_in_turn:
    return "a softmax over each digit, given those before it";
  case Family::digits_apart:
    return "a softmax over each digit, on its own";
  case Family::scores:
    break;
  }
  return "scores that are no distribution";
}
const char* word_of(Family family) {
  constexpr const char* words[] = {"scores", "items", "digits-in-turn", "digits-apart"};
  return words[static_cast<std::size_t>(family)];
}

std::vector<Analysed> open_all(const std::vector<std::string>& files) {
  std::vector<Analysed> models;
  for (const std::string& file : files) { models.push_back({file, open_model(file), {}}); }
  const simgr::SemanticIds* ids = nullptr;  // of the first that has some, for those without
  for (const Analysed& model : models) {
    const simgr::Catalogue &own = model.model().catalogue(),
                           &first = models.front().model().catalogue();
    if (own.items != first.items) {
      throw simgr::DataError("expected the " + std::to_string(first.items) + " items of " +
                                 models.front().file + ", found " + std::to_string(own.items),
                             {.file = model.file});
    }
    ids = ids == nullptr && !own.ids.empty() ? &own.ids : ids;
  }
  for (Analysed& model : models) {
    const simgr::SemanticIds& own = model.model().catalogue().ids;
    if (ids != nullptr) {
      model.trie.emplace(own.empty() ? *ids : own);
    }
  }
  return models;
}

/// What digits predicted apart are held against: the first model that spells digits in turn, else
/// the first with a softmax over items.
const Analysed* reference_of(const std::vector<Analysed>& models) {
  for (const Family family : {Family::digits_in_turn, Family::items}) {
    for (const Analysed& model : models) {
      if (model.model().family() == family) {
        return &model;
      }
    }
  }
  return nullptr;
}

/// Without a model beside it, what training interactions say is the reference.
std::string name_of(const Analysed* reference) {
  return reference == nullptr ? "the training interactions" : reference->file;
}

struct Lists {
  simgr::eval::Metrics metrics;
  std::vector<analysis::FrequencyBand> bands;
  double never_listed = simgr::eval::absent;
};

void print_json(const Analysed& model, const Lists& lists, const DecodingBias& bias,
                const Analysed* reference, Index k) {
  JsonLine line;
  line.add("model", model.opened.kind->name);
  line.add("file", model.file);
  line.add("says", word_of(model.model().family()));
  line.add("users", lists.metrics.users);
  line.add("k", k);
  const auto& at = lists.metrics.at(k);
  line.add("hr", at.all.hr);
  line.add("ndcg", at.all.ndcg);
  line.add("coverage", at.lists.coverage);
  std::string parts;
  for (const analysis::FrequencyBand& band : lists.bands) {
    JsonLine one;
    one.add("items", band.items);
    one.add("listed", band.listed);
    one.add("chosen", band.chosen);
    parts += (parts.empty() ? "" : ",") + one.text();
  }
  line.add_raw("bands", "[" + parts + "]");
  line.add("chosen_but_never_listed", lists.never_listed);
  if (bias.independence) {
    const auto& independence = *bias.independence;
    JsonLine one;
    if (model.model().family() == Family::digits_apart) {
      one.add("reference", name_of(reference));
    }
    one.add("entropy", independence.entropy);
    one.add("total_correlation", independence.total_correlation);
    one.add("kl", independence.kl);
    one.add("valid_mass", independence.valid_mass);
    one.add("kl_restricted", independence.kl_restricted);
    one.add("rank_correlation", independence.rank_correlation);
    one.add("overlap", independence.overlap);
    line.add_raw("independence", one.text());
  }
  if (!bias.beams.empty()) {
    line.add("leaked", bias.leaked);
    parts.clear();
    for (const analysis::BeamBias& beam : bias.beams) {
      JsonLine one;
      one.add("width", beam.width);
      one.add("mass", beam.captured.mass);
      one.add("kl", beam.captured.kl);
      one.add("tv", beam.captured.tv);
      std::string survival;
      for (const double share : beam.survival) {
        survival += (survival.empty() ? "" : ",") + fixed(share, 6);
      }
      one.add_raw("survival", "[" + survival + "]");
      one.add("overlap", beam.overlap);
      one.add("hr", beam.hr);
      one.add("ndcg", beam.ndcg);
      one.add("exact_hr", beam.exact_hr);
      one.add("exact_ndcg", beam.exact_ndcg);
      one.add("lost", beam.lost);
      one.add("won", beam.won);
      one.add("exact_rank", beam.rank);
      one.add("exact_rank_of_missed", beam.missed_rank);
      parts += (parts.empty() ? "" : ",") + one.text();
    }
    line.add_raw("beams", "[" + parts + "]");
  }
  std::cout << line.text() << "\n";
}

void print_independence(const Analysed& model, const analysis::IndependenceBias& bias,
                        const Analysed* reference, Index k) {
  if (model.model().family() == Family::digits_apart) {
    std::printf("  against %s, whose items have %.3f nats of entropy:\n"
                "    total correlation of the digits %.3f nats: no model of digits apart comes "
                "nearer\n    KL %.3f   KL among items %.3f\n",
                name_of(reference).c_str(), bias.entropy, bias.total_correlation, bias.kl,
                bias.kl_restricted);
  } else {
    std::printf("  %.3f nats of entropy; total correlation of the digits %.3f nats. Its own "
                "marginals, digits apart, would\n    differ by KL %.3f, among items %.3f\n",
                bias.entropy, bias.total_correlation, bias.kl, bias.kl_restricted);
  }
  std::printf("    probability on tuples of no item %.4f   rank correlation %.3f   overlap of the "
              "best %td %.3f\n",
              1 - bias.valid_mass, bias.rank_correlation, k, bias.overlap);
}

void print_beams(const Analysed& model, const DecodingBias& bias, Index k) {
  const bool spelt = model.model().family() == Family::digits_in_turn;
  std::printf("  %s\n", spelt
                            ? "beams through its prefixes:"
                            : "no beam decodes it; were its distribution decoded digit by digit:");
  if (spelt) {
    std::printf("    its softmax gives %.4f to tuples of no item; shares below are of the rest\n",
                bias.leaked);
  }
  std::string digits;
  for (std::size_t l = 1; l <= bias.beams.front().survival.size(); ++l) {
    digits += (l == 1 ? "" : "/") + std::to_string(l);
  }
  std::printf("    %6s %7s %7s %9s %9s %7s %7s %12s  %s\n", "width", "mass", "KL", "overlap", "HR",
              "lost", "won", "missed, rank", ("target alive at digit " + digits).c_str());
  for (const analysis::BeamBias& beam : bias.beams) {
    std::string survival;
    for (const double share : beam.survival) {
      survival += (survival.empty() ? "" : " ") + fixed(share, 3);
    }
    std::printf("    %6td %7.4f %7.3f %9.4f %9.4f %7.4f %7.4f %12.0f  %s\n", beam.width,
                beam.captured.mass, beam.captured.kl, beam.overlap, beam.hr, beam.lost, beam.won,
                beam.missed_rank, survival.c_str());
  }
  std::printf("    %6s %7s %7s %9s %9.4f   (lists of %td; the target's median rank %.0f)\n",
              "exact", "1", "0", "1", bias.beams.front().exact_hr, k, bias.beams.front().rank);
}

void print_text(const Analysed& model, const Lists& lists, const DecodingBias& bias,
                const Analysed* reference, Index k) {
  std::printf("%s (%s): %s\n", model.opened.kind->name.c_str(), model.file.c_str(),
              name_of(model.model().family()));
  if (bias.independence) {
    print_independence(model, *bias.independence, reference, k);
  } else if (!model.trie) {
    std::printf("  no model has semantic ids: nothing can be said of digits\n");
  }
  if (!bias.beams.empty()) {
    print_beams(model, bias, k);
  }
  const auto& at = lists.metrics.at(k);
  std::printf("  its lists of %td: HR %.4f, NDCG %.4f, coverage %.4f; places and choices by "
              "popularity, fifths of the items:\n   ",
              k, at.all.hr, at.all.ndcg, at.lists.coverage);
  for (const analysis::FrequencyBand& band : lists.bands) {
    std::printf(" %.1f %% / %.1f %%  ", 100 * band.listed, 100 * band.chosen);
  }
  std::printf("\n    choices of items that no list holds: %.1f %%\n\n", 100 * lists.never_listed);
}

}  // namespace

void analyse_decoding(const AnalyseOptions& options) {
  const std::vector<Analysed> models = open_all(options.models);
  const DataFolder folder = read_folder(options.data, models.front().model().catalogue().items);
  for (const Analysed& model : models) {
    require_same_data(folder, model.model().catalogue().items, model.opened.data_fingerprint,
                      model.file);
  }
  simgr::cpu::ThreadPool pool(threads_or_all(options.threads));
  const auto sample =
      sample_of(folder.split.test, options.users, static_cast<std::uint64_t>(options.seed));
  const auto popularity = simgr::data::popularity(folder.split.train, folder.items());
  std::vector<Index> chosen(popularity.size(), 0);
  for (const ItemId item : sample.targets) { ++chosen[static_cast<std::size_t>(item)]; }
  const Analysed* reference = reference_of(models);
  std::optional<EmpiricalNext> empirical;  // where there is no such model
  if (!options.json) {
    std::printf(
        "%td of %td users of the test split, means over them. On real data the truth is not "
        "known: this tells what decoding\nmakes of a model, not how far the model is from "
        "its users.\n\n",
        static_cast<Index>(sample.targets.size()),
        static_cast<Index>(folder.split.test.targets.size()));
  }
  for (const Analysed& model : models) {
    Lists lists;
    lists.metrics = model.model().evaluate(
        sample, {.cutoffs = {options.k}, .shards = 4 * pool.threads()}, pool);
    const auto& frequency = lists.metrics.at(options.k).frequency;
    lists.bands =
        analysis::frequency_bands(popularity, frequency, chosen, std::min(bands, folder.items()));
    lists.never_listed = analysis::chosen_but_never_listed(frequency, chosen);
    DecodingBias bias;
    if (model.trie && model.model().family() != Family::digits_apart) {
      bias = decoding_bias(model.model(), *model.trie, sample, options.widths, options.k, pool);
    } else if (model.trie && reference != nullptr) {
      bias = independence_of(model.model(), *model.trie, reference->model(), *reference->trie,
                             sample, options.k, pool);
    } else if (model.trie) {
      if (!empirical) {
        empirical.emplace(folder.split.train.view(), folder.items());
      }
      bias = independence_of(model.model(), *model.trie, *empirical, sample, options.k, pool);
    }
    (options.json ? print_json : print_text)(model, lists, bias, reference, options.k);
    std::cout.flush();
  }
}

}  // namespace simgr_cli
