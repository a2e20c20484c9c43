// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include <simgr_cli/contest.hpp>

#include <simgr/data/json.hpp>
#include <simgr/data/synthetic_catalogue.hpp>
#include <simgr/io/atomic_file.hpp>
#include <simgr/io/semantic_ids.hpp>

namespace simgr_cli {

namespace {

std::string joined(std::span<const ItemId> items) {
  std::string text;
  for (const ItemId item : items) { text += (text.empty() ? "" : " ") + std::to_string(item); }
  return text;
}

/// Writes a file of the embedded catalogue, or finds it there; another one is the user's.
void write_file(const std::string& path, const std::string& text) {
  std::error_code error;
  if (std::filesystem::exists(path, error)) {
    const std::ifstream file(path, std::ios::binary);
    std::ostringstream there;
    there << file.rdbuf();
    if (there.str() == text) {
      return;
    }
    throw simgr::IoError("this is there already and is no file of this quickstart; it is not "
                         "replaced: give another --out, or move it away",
                         {.file = path});
  }
  if (const simgr::Failure failure = simgr::io::try_replace_file(path, text)) {
    simgr::raise(*failure);
  }
}

/// The catalogue as a data folder like any other, so that every other command can be tried on it.
void write_folder(const simgr::data::SyntheticCatalogue& world, const std::string& path) {
  make_folder(path);
  std::string sequences = "user\titems\n";
  for (Index user = 0; user < world.interactions.users(); ++user) {
    sequences += std::to_string(user) + "\t" + joined(world.interactions.histories[user]) + "\n";
  }
  std::string items;
  for (std::size_t i = 0; i < world.items.size(); ++i) {
    items += "{\"id\":" + std::to_string(i) +
             ",\"title\":" + simgr::data::json_quote(world.items[i].title) + "}\n";
  }
  write_file(path + "/sequences.tsv", sequences);
  write_file(path + "/items.jsonl", items);
  require_output(path + "/ids.tsv", Output::ids);
  simgr::io::write_semantic_ids(path + "/ids.tsv", world.ids);
}

/// Models that spell items, predict digits or ask for sets of vectors are made for millions of
/// interactions; here they are as small as the rest.
std::map<std::string, std::vector<Setting>> small_rivals() {
  std::map<std::string, std::vector<Setting>> own;
  own["lc-rec"] = {{"encoder.width", "64"}, {"encoder.layers", "2"}};
  own["tiger"] = {{"encoder.width", "32"},
                  {"encoder.layers", "1"},
                  {"encoder.decoder_layers", "1"},
                  {"encoder.head_width", "16"},
                  {"encoder.inner", "64"}};
  own["liger"] = own["tiger"];
  own["liger"].push_back({"encoder.embedding.dropout", "0.1"});
  own["setrec"] = own["tiger"];
  own["setrec"].push_back({"encoder.embedding.hidden", "64"});
  own["setrec"].push_back({"encoder.embedding.semantic", "2"});
  for (auto& [model, settings] : own) {
    for (const Setting& setting : {Setting{"encoder.heads", "2"}, Setting{"encoder.dropout", "0.1"},
                                   Setting{"optimizer.rate", "0.005"}, Setting{"batch", "64"}}) {
      settings.push_back(setting);
    }
  }
  own["setrec"].push_back({"batch", "256"});  // each reads the texts of all items anew
  own["setrec"].push_back({"epochs", "12"});  // validation is flat from the ninth
  for (const char* const model : {"rpg", "rpg-simgr"}) {
    own[model] = {{"encoder.width", "128"},    {"encoder.inner", "256"},
                  {"encoder.dropout", "0.2"},  {"encoder.residual_dropout", "-1"},
                  {"optimizer.rate", "0.003"}, {"moving_average", "0"}};
  }
  own["lightgcn"] = {{"batch", "256"}, {"optimizer.rate", "0.01"}};
  return own;
}

}  // namespace

void quickstart(const QuickstartOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  simgr::cpu::ThreadPool pool(threads_or_all(options.threads));
  const auto world = simgr::data::synthetic_catalogue();
  const std::string data = options.out + "/data";
  write_folder(world, data);
  const DataFolder folder = read_folder(data);
  std::printf(
      "The embedded catalogue: %td users, %td items whose ids have three digits: category, "
      "style, volume.\nGiven a user, category and style of the next item share %.2f nat: no "
      "model that adds up digits can know it.\n",
      folder.interactions.users(), folder.items(), world.planted_total_correlation());
  std::fflush(stdout);
  std::vector<std::string> models;
  for (const ModelKind* kind : all_kinds()) {
    if (kind->in_quickstart && !kind->reads_backbone) {
      models.push_back(kind->name);
    }
  }
  hold({.folder = folder,
        .name = "The embedded catalogue",
        .out = options.out,
        .models = models,
        .given_ids = world.ids,
        .given_by = "the catalogue's own",
        .settings = {{"epochs", "20"}, {"evaluate_every", "2"}, {"encoder.max_length", "20"}},
        .own_settings = small_rivals(),
        .resume = false},
       options.out + "/report.html", pool);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  std::printf("%.0f s. Next: simgr recommend %s/simgr.simgr --history \"3 17 9\"\n",
              seconds.count(), options.out.c_str());
}

}  // namespace simgr_cli
