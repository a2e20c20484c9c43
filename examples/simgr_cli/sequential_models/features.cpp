// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <utility>

#include <simgr_cli/adaptor.hpp>

#include <simgr/baselines/fdsa.hpp>
#include <simgr/baselines/s3rec.hpp>

// Traditional sequential models that read what is known of items.

namespace simgr_cli {
namespace {

using namespace simgr::baselines;

constexpr std::string_view prefix = "pretraining.";

/// The settings of pre-training, and those of the rest.
struct TwoStages {
  simgr::train::PretrainOptions pretraining = s3rec_pretraining;
  std::vector<Setting> rest;

  explicit TwoStages(const std::vector<Setting>& settings) {
    for (const Setting& setting : settings) {  // one seed for both, unless pre-training has its own
      if (setting.name == "seed") {
        (void)simgr::try_set_field(pretraining, setting.name, setting.value);  // fit checks it
      }
    }
    for (const Setting& setting : settings) {
      if (!setting.name.starts_with(prefix)) {
        rest.push_back(setting);
      } else if (const simgr::Failure failure = simgr::try_set_field(
                     pretraining, setting.name.substr(prefix.size()), setting.value)) {
        throw UsageError(std::string("--set: pretraining: ") + failure->what());
      }
    }
  }
};

/// S3-Rec: pre-trained before it is trained, unless a run goes on.
ModelKind two_stages() {
  ModelKind kind = kind_of<S3Rec>(
      17, "s3rec", "pre-trained by attributes, hidden items and segments; then as sasrec-bce",
      s3rec_defaults);
  kind.needs.attributes = true;
  kind.settings = [plain = kind.settings] {
    std::vector<simgr::FieldText> all = plain();
    for (simgr::FieldText field : simgr::list_fields(s3rec_pretraining)) {
      field.name.insert(0, prefix);
      all.push_back(std::move(field));
    }
    return all;
  };
  kind.check = [plain = kind.check](const std::vector<Setting>& settings) {
    plain(TwoStages(settings).rest);
  };
  kind.fit = [](simgr::Catalogue catalogue, const simgr::data::Split& split,
                const FitRequest& request, simgr::cpu::ThreadPool& pool) {
    const TwoStages stages(request.settings);
    const AllSettings<S3Rec> all = settings_of(s3rec_defaults, stages.rest);
    const auto attributes = std::exchange(catalogue.attributes, {});
    S3Rec model(std::move(catalogue), all.model, all.fit.seed);
    if (begins_anew(request)) {
      simgr::train::pretrain(
          model, attributes.view(), split, stages.pretraining,
          [](const simgr::train::PretrainReport& report) {
            std::fprintf(stderr, "pre-training: epoch %td of %td, loss %.4f\n", report.epoch,
                         report.epochs, report.loss);
          },
          pool);
    }
    const auto result = train_model(model, split, all.fit, request, pool);
    if (request.out.empty()) {
      return Fitted{nullptr, result};
    }
    auto metadata = metadata_of("s3rec", request, all.fit, result);
    for (const simgr::FieldText& field : simgr::list_fields(stages.pretraining)) {
      metadata.push_back({std::string(prefix) + field.name, field.value});
    }
    simgr::io::ModelFile<S3Rec>::save(model, request.out, metadata);
    return Fitted{std::make_unique<Served<S3Rec>>(std::move(model)), result};
  };
  return kind;
}

const bool streams = add_kind_beside_quickstart(kind_of<Fdsa>(
    16, "fdsa", "self-attention over items and, apart, over the vectors of their texts",
    fdsa_defaults));

const bool pretrained = add_kind_beside_quickstart(two_stages());

}  // namespace
}  // namespace simgr_cli
