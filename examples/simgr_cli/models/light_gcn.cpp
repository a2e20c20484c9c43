// SPDX-License-Identifier: Apache-2.0
#include <simgr_cli/adaptor.hpp>

#include <simgr/baselines/light_gcn.hpp>

// A model of users and items as a graph, with a training of its own.

namespace simgr_cli {
namespace {

using simgr::baselines::light_gcn_defaults;
using simgr::baselines::LightGcn;

ModelKind light_gcn() {
  ModelKind kind;
  kind.place = 4;
  kind.name = "lightgcn";
  kind.summary = "users and items as a graph, rows propagated along it, BPR";
  kind.type = LightGcn::type();
  kind.space = light_gcn_defaults.space;
  kind.settings = [] { return simgr::list_fields(settings_of(light_gcn_defaults, {})); };
  kind.check = [](const std::vector<Setting>& settings) {
    settings_of(light_gcn_defaults, settings);
  };
  kind.fit = [](simgr::Catalogue catalogue, const simgr::data::Split& split,
                const FitRequest& request, simgr::cpu::ThreadPool& pool) {
    const auto all = settings_of(light_gcn_defaults, request.settings);
    LightGcn model(std::move(catalogue), all.model, all.fit.seed);
    const auto result =
        train_by(simgr::train::LightGcnTrainer(model, split, all.fit), request, pool);
    if (request.out.empty()) {
      return Fitted{nullptr, result};
    }
    const auto metadata = metadata_of("lightgcn", request, all.fit, result);
    if (const simgr::Failure failure = model.try_save(request.out, metadata)) {
      simgr::raise(*failure);
    }
    return Fitted{std::make_unique<Served<LightGcn>>(std::move(model)), result};
  };
  kind.load = [](const simgr::io::Checkpoint& file,
                 const std::vector<Setting>& settings) -> std::unique_ptr<ServedModel> {
    if (!settings.empty()) {
      throw UsageError("--set " + settings.front().name +
                       ": training has settled everything about lightgcn");
    }
    return std::make_unique<Served<LightGcn>>(LightGcn::try_load(file).value_or_raise());
  };
  return kind;
}

const bool graph_convolution = add_kind(light_gcn());

}  // namespace
}  // namespace simgr_cli
