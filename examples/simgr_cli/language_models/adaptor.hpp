// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr_cli/adaptor.hpp>

#include <simgr/baselines/over_language_models.hpp>
#include <simgr/io/backbone.hpp>

// From a type over a language model to a row of the table. Included by the models of this folder.

namespace simgr_cli {

template <class Model>
struct OverBackbone {
  using E = typename Model::EncoderType;

  static simgr::baselines::Defaults<Model> configured(simgr::baselines::Defaults<Model> defaults,
                                                      const simgr::io::Backbone& backbone) {
    backbone.configure<E>(defaults.model.encoder);
    return defaults;
  }
  static Model begin(simgr::Catalogue catalogue, const typename Model::Config& config,
                     std::uint64_t seed, const simgr::io::Backbone& backbone) {
    return Model(std::move(catalogue), config, backbone.weights<E>(seed));
  }
};

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
  return kind;
}

}  // namespace simgr_cli
