// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdio>
#include <utility>

#include <simgr_cli/adaptor.hpp>

#include <simgr/train/pretraining.hpp>

namespace simgr_cli {

inline constexpr std::string_view pretraining_prefix = "pretraining.";

/// The settings of pre-training, and those of the rest.
template <class Options>
struct TwoStages {
  Options pretraining;
  std::vector<Setting> rest;

  TwoStages(const Options& defaults, const std::vector<Setting>& settings) : pretraining(defaults) {
    for (const Setting& setting : settings) {  // one seed for both, unless pre-training has its own
      if (setting.name == "seed") {
        (void)simgr::try_set_field(pretraining, setting.name, setting.value);  // fit checks it
      }
    }
    for (const Setting& setting : settings) {
      if (!setting.name.starts_with(pretraining_prefix)) {
        rest.push_back(setting);
      } else if (const simgr::Failure failure = simgr::try_set_field(
                     pretraining, setting.name.substr(pretraining_prefix.size()), setting.value)) {
        throw UsageError(std::string("--set: pretraining: ") + failure->what());
      }
    }
  }
};

/// The row of a model that is pre-trained before it is trained, unless a run goes on.
/// @param pretrain  (model, attributes of items, split, options, observer, pool)
template <class Model, class Options, class Pretrain>
ModelKind two_stages(int place, const std::string& name, std::string summary,
                     const simgr::baselines::Defaults<Model>& defaults, const Options& pretraining,
                     Pretrain pretrain) {
  ModelKind kind = kind_of<Model>(place, name, std::move(summary), defaults);
  kind.settings = [plain = kind.settings, pretraining] {
    std::vector<simgr::FieldText> all = plain();
    for (simgr::FieldText field : simgr::list_fields(pretraining)) {
      field.name.insert(0, pretraining_prefix);
      all.push_back(std::move(field));
    }
    return all;
  };
  kind.check = [plain = kind.check, pretraining](const std::vector<Setting>& settings) {
    plain(TwoStages(pretraining, settings).rest);
  };
  kind.fit = [name, defaults, pretraining,
              pretrain](simgr::Catalogue catalogue, const simgr::data::Split& split,
                        const FitRequest& request, simgr::cpu::ThreadPool& pool) {
    const TwoStages stages(pretraining, request.settings);
    const AllSettings<Model> all = settings_of(defaults, stages.rest);
    const auto attributes = std::exchange(catalogue.attributes, {});
    Model model(std::move(catalogue), all.model, all.fit.seed);
    if (begins_anew(request)) {
      pretrain(
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
    auto metadata = metadata_of(name, request, all.fit, result);
    for (const simgr::FieldText& field : simgr::list_fields(stages.pretraining)) {
      metadata.push_back({std::string(pretraining_prefix) + field.name, field.value});
    }
    simgr::io::ModelFile<Model>::save(model, request.out, metadata);
    return Fitted{std::make_unique<Served<Model>>(std::move(model)), result};
  };
  return kind;
}

}  // namespace simgr_cli
