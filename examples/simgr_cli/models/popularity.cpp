// SPDX-License-Identifier: Apache-2.0
#include <simgr_cli/adaptor.hpp>

#include <simgr/baselines/popularity.hpp>

namespace simgr_cli {
namespace {

using simgr::baselines::Popularity;

ModelKind popularity() {
  ModelKind kind;
  kind.name = "popularity";
  kind.summary = "the most popular items, the same for everybody";
  kind.type = Popularity::type();
  kind.settings = [] { return std::vector<simgr::FieldText>(); };
  kind.check = [](const std::vector<Setting>& settings) {
    for (const Setting& setting : settings) {
      // Options that fit takes for every model, so that a script need not tell them apart.
      if (setting.name != "epochs" && setting.name != "seed") {
        throw UsageError("popularity counts and has no settings, found " + setting.name);
      }
    }
  };
  kind.fit = [](simgr::Catalogue catalogue, const simgr::data::Split& split,
                const FitRequest& request, simgr::cpu::ThreadPool& pool) {
    Popularity model(std::move(catalogue));
    auto log = open_log(request.log, 0);
    const auto observer = [&](const simgr::train::EpochReport& report) {
      if (log) {
        (*log)(report);
      }
      if (request.on_epoch) {
        request.on_epoch(report);
      }
    };
    const auto result = model.fit(split, {}, observer, pool);
    const auto metadata = metadata_of("popularity", request, {}, result);
    if (const simgr::Failure failure = model.try_save(request.out, metadata)) {
      simgr::raise(*failure);
    }
    return Fitted{std::make_unique<Served<Popularity>>(std::move(model)), result};
  };
  kind.load = [](const simgr::io::Checkpoint& file) -> std::unique_ptr<ServedModel> {
    return std::make_unique<Served<Popularity>>(Popularity::try_load(file).value_or_raise());
  };
  return kind;
}

const bool added = add_kind(popularity());

}  // namespace
}  // namespace simgr_cli
