// SPDX-License-Identifier: Apache-2.0
#include <simgr_cli/adaptor.hpp>

#include <simgr/baselines/fmlp_rec.hpp>
#include <simgr/baselines/popularity.hpp>
#include <simgr/baselines/sasrec.hpp>

// Models that read no semantic ids.

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
    const Reporting reporting(request, 0);
    const auto result = model.fit(split, {}, reporting, pool);
    const auto metadata = metadata_of("popularity", request, {}, result);
    if (const simgr::Failure failure = model.try_save(request.out, metadata)) {
      simgr::raise(*failure);
    }
    return Fitted{std::make_unique<Served<Popularity>>(std::move(model)), result};
  };
  kind.load = [](const simgr::io::Checkpoint& file,
                 const std::vector<Setting>& settings) -> std::unique_ptr<ServedModel> {
    if (!settings.empty()) {
      throw UsageError("--set: popularity has no settings, found " + settings.front().name);
    }
    return std::make_unique<Served<Popularity>>(Popularity::try_load(file).value_or_raise());
  };
  return kind;
}

const bool counts = add_kind(popularity());

const bool filtered = add_kind(kind_of<simgr::baselines::FmlpRec>(
    12, "fmlp-rec", "learned filters over item ids, full softmax",
    simgr::baselines::fmlp_rec_defaults));

const bool full_softmax = add_kind(kind_of<simgr::baselines::SasRec>(
    10, "sasrec", "self-attention over item ids, full softmax", simgr::baselines::sasrec_defaults));

const bool one_negative = add_kind(kind_of<simgr::baselines::SasRecBce>(
    11, "sasrec-bce", "self-attention over item ids, one negative (the paper)",
    simgr::baselines::sasrec_bce_defaults));

}  // namespace
}  // namespace simgr_cli
