// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdio>
#include <utility>

#include <simgr_cli/adaptor.hpp>

#include <simgr/train/pretraining.hpp>

namespace simgr_cli {

inline constexpr std::string_view pretraining_prefix = "pretraining.",
                                  begins_key = "pretraining.from";

/// The settings of pre-training, and those of the rest.
template <class Options>
struct TwoStages {
  Options pretraining;
  std::string from;  // a model file to begin with, if the kind can
  std::vector<Setting> rest;

  TwoStages(const Options& defaults, bool can_begin, const std::vector<Setting>& settings)
      : pretraining(defaults) {
    for (const Setting& setting : settings) {  // one seed for both, unless pre-training has its own
      if (setting.name == "seed") {
        (void)simgr::try_set_field(pretraining, setting.name, setting.value);  // fit checks it
      }
    }
    for (const Setting& setting : settings) {
      if (!setting.name.starts_with(pretraining_prefix)) {
        rest.push_back(setting);
      } else if (can_begin && setting.name == begins_key) {
        from = setting.value;
      } else if (const simgr::Failure failure = simgr::try_set_field(
                     pretraining, setting.name.substr(pretraining_prefix.size()), setting.value)) {
        throw UsageError(std::string("--set: pretraining: ") + failure->what());
      }
    }
  }
};

/// The row of a model that is pre-trained before it is trained, unless a run goes on.
/// @param pretrain  (model, attributes of items, split, options, observer, pool)
/// @param begin     (model, another of its type): takes its weights; or none
template <class Model, class Options, class Pretrain, class Begin = simgr::Silent>
ModelKind two_stages(int place, const std::string& name, std::string summary,
                     const simgr::baselines::Defaults<Model>& defaults, const Options& pretraining,
                     Pretrain pretrain, Begin begin = {}) {
  constexpr bool can_begin = std::is_invocable_v<Begin, Model&, const Model&>;
  ModelKind kind = kind_of<Model>(place, name, std::move(summary), defaults);
  kind.settings = [plain = kind.settings, pretraining] {
    std::vector<simgr::FieldText> all = plain();
    for (simgr::FieldText field : simgr::list_fields(pretraining)) {
      field.name.insert(0, pretraining_prefix);
      all.push_back(std::move(field));
    }
    if (can_begin) {
      all.push_back({std::string(begins_key), "", "",
                     "a model file of other items whose weights pre-training goes on from"});
    }
    return all;
  };
  kind.check = [plain = kind.check, pretraining](const std::vector<Setting>& settings) {
    plain(TwoStages(pretraining, can_begin, settings).rest);
  };
  kind.fit = [=](simgr::Catalogue catalogue, const simgr::data::Split& split,
                 const FitRequest& request, simgr::cpu::ThreadPool& pool) {
    const TwoStages stages(pretraining, can_begin, request.settings);
    const AllSettings<Model> all = settings_of(defaults, stages.rest);
    const auto attributes = std::exchange(catalogue.attributes, {});
    Model model(std::move(catalogue), all.model, all.fit.seed);
    if (begins_anew(request)) {
      if constexpr (can_begin) {
        if (!stages.from.empty()) {
          begin(model, Model::load(stages.from));
        }
      }
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
    if (!stages.from.empty()) {
      metadata.push_back(
          {std::string(begins_key), std::filesystem::path(stages.from).filename().string()});
    }
    simgr::io::ModelFile<Model>::save(model, request.out, metadata);
    return Fitted{std::make_unique<Served<Model>>(std::move(model)), result};
  };
  return kind;
}

}  // namespace simgr_cli
