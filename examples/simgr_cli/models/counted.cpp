// SPDX-License-Identifier: Apache-2.0
#include <simgr_cli/adaptor.hpp>

#include <simgr/baselines/item_knn.hpp>
#include <simgr/baselines/markov_chain.hpp>
#include <simgr/baselines/popularity.hpp>

// Models that are counted, not trained.

namespace simgr_cli {
namespace {

/// The Config of a counted model with the settings of a request.
template <class Model>
typename Model::Config counted_config(const std::string& name,
                                      const std::vector<Setting>& settings) {
  typename Model::Config config;
  for (const Setting& setting : settings) {
    // Options that fit takes for every model, so that a script need not tell them apart.
    if (setting.name == "epochs" || setting.name == "seed") {
      continue;
    }
    if (simgr::list_fields(config).empty()) {
      throw UsageError(name + " counts and has no settings, found " + setting.name);
    }
    if (const simgr::Failure failure = simgr::try_set_field(config, setting.name, setting.value)) {
      throw UsageError(std::string("--set: ") + failure->what());
    }
  }
  return config;
}

/// The row of a train::CountedModel.
///
/// @param space  what a search tries; empty: there is nothing to choose
template <class Model>
ModelKind counted(int place, std::string name, std::string summary, std::string space) {
  ModelKind kind;
  kind.place = place;
  kind.name = name;
  kind.summary = std::move(summary);
  kind.type = Model::type();
  kind.space = std::move(space);
  kind.settings = [] { return simgr::list_fields(typename Model::Config{}); };
  kind.check = [name](const std::vector<Setting>& settings) {
    counted_config<Model>(name, settings);
  };
  kind.fit = [name](simgr::Catalogue catalogue, const simgr::data::Split& split,
                    const FitRequest& request, simgr::cpu::ThreadPool& pool) {
    Model model(std::move(catalogue), counted_config<Model>(name, request.settings));
    const Reporting reporting(request, 0);
    const auto result = model.fit(split, {}, reporting, pool);
    if (request.out.empty()) {
      return Fitted{nullptr, result};
    }
    const auto metadata = metadata_of(name, request, {}, result);
    if (const simgr::Failure failure = model.try_save(request.out, metadata)) {
      simgr::raise(*failure);
    }
    return Fitted{std::make_unique<Served<Model>>(std::move(model)), result};
  };
  kind.load = [name](const simgr::io::Checkpoint& file,
                     const std::vector<Setting>& settings) -> std::unique_ptr<ServedModel> {
    if (!settings.empty()) {
      throw UsageError("--set " + settings.front().name + ": " + name +
                       " is counted; nothing about it can be set afterwards");
    }
    return std::make_unique<Served<Model>>(Model::try_load(file).value_or_raise());
  };
  return kind;
}

const bool popularity = add_kind(counted<simgr::baselines::Popularity>(
    0, "popularity", "the most popular items, the same for everybody", {}));

const bool item_knn =
    add_kind(counted<simgr::baselines::ItemKnn>(1, "item-knn", "cosines of items by who took both",
                                                "neighbours=5|10|20|50|100|200|1000,shrink=0..32"));

const bool markov_chain = add_kind(counted<simgr::baselines::MarkovChain>(
    2, "markov-chain", "what most often followed the last item", "prior=1e-3..100:log"));

const bool one_hop = add_kind(counted<simgr::baselines::OneHop>(
    3, "one-hop", "what most often followed any item of the history", "prior=1e-3..100:log"));

}  // namespace
}  // namespace simgr_cli
