// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr_cli/adaptor.hpp>

#include <simgr/baselines/over_language_models.hpp>
#include <simgr/io/backbone.hpp>
#include <simgr/train/align_digits.hpp>

// From a type over a language model to a row of the table. Included by the models of this folder.

namespace simgr_cli {

/// Errors  ConfigError: a language model of other sizes than the one that was trained over
void require_same_layout(const simgr::ParameterTable& trained,
                         const simgr::ParameterTable& published, const std::string& backbone);

template <class Model>
struct OverBackbone {
  static simgr::baselines::Defaults<Model> configured(simgr::baselines::Defaults<Model> defaults,
                                                      const simgr::io::Backbone& backbone) {
    backbone.configure<Model>(defaults.model);
    return defaults;
  }
  static Model begin(simgr::Catalogue catalogue, const typename Model::Config& config,
                     std::uint64_t seed, const simgr::io::Backbone& backbone,
                     const simgr::Ragged<std::int32_t>& words_of_digits) {
    return Model(std::move(catalogue), config, backbone.weights<Model>(seed, words_of_digits));
  }
};

/// The rows of the digits, taught by texts; not unless it is asked for.
template <class Model>
  requires simgr::train::aligns_digits<Model>
struct StageBefore<Model> {
  simgr::train::AlignOptions aligning{.epochs = 0};

  template <class F, class C>
  static void for_each_field(C& c, F&& f) {
    simgr::fields_of("aligning", c.aligning, f);
  }
  bool wanted() const { return aligning.epochs > 0; }
  void run(Model& model, const Beginning& given, simgr::cpu::ThreadPool& pool) const {
    simgr::train::AlignOptions options = aligning;
    options.seed = given.seed;
    simgr::train::align_digits(model, options, epochs_of("aligning"), pool, given.file);
  }
};

/// A kind's export_adapters.
/// Errors  ConfigError: no adapters, a language model below that was trained, or another one
template <class Model>
void export_adapters(const simgr::io::Checkpoint& file, const std::string& backbone,
                     const std::string& out) {
  using E = typename Model::EncoderType;
  const Model model = simgr::io::ModelFile<Model>::try_load(file).value_or_raise();
  const typename E::Config& c = model.config().encoder;
  if (!c.adapters.frozen) {
    throw simgr::ConfigError(
        "the language model was trained, too: adapters alone are not the model",
        {.file = file.file(), .field = "encoder.frozen"});
  }
  const auto facts = simgr::io::read_model_config(backbone + "/config.json");
  typename E::Config published = c;
  if (const auto failure = simgr::io::BackboneForm<E>::configure(facts, published)) {
    throw simgr::ConfigError(failure->what(), {.file = backbone});
  }
  require_same_layout(simgr::describe<E>(c), simgr::describe<E>(published), backbone);
  simgr::io::save_adapters(out, backbone, c.adapters, facts, model.table(), model.weights(),
                           {.weights = {.prefix = "encoder."}});
}

/// @param over  the word it answers to with --backbone
template <class Model>
ModelKind kind_over_backbone(int place, std::string name, std::string over, std::string summary) {
  ModelKind kind = kind_of<Model>(place, std::move(name), std::move(summary),
                                  simgr::baselines::over_language_model<Model>);
  kind.over = std::move(over);
  kind.narrow = std::is_same_v<typename Model::EncoderType, simgr::baselines::NarrowDecoderLm>;
  kind.reads_backbone = [](const simgr::io::Backbone& backbone) {
    const auto& families = simgr::io::BackboneForm<typename Model::EncoderType>::families;
    return std::find(std::begin(families), std::end(families), backbone.facts().family) !=
           std::end(families);
  };
  if constexpr (Model::EncoderType::adapted) {
    kind.export_adapters = export_adapters<Model>;
  }
  return kind;
}

}  // namespace simgr_cli
