// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <simgr_cli/data_folder.hpp>
#include <simgr_cli/kind.hpp>

#include <simgr/core/prompt.hpp>

// Recommenders over a published language model: what `--backbone` and its neighbours ask for. A program
// built without language models refuses them.

namespace simgr_cli {

struct BackboneOptions {
  std::string folder;              // empty: no language model
  std::string prompt = "ids";      // titles, both
  std::string pattern;             // with {history}; empty: our own wording
  std::string precision = "fp32";  // bf16: the language model is frozen; mixed: in training
  std::string lora;                // rank=8,alpha=32; empty: all weights are trained
  std::string adapter;             // a folder of adapters that training goes on from, or empty
  Index title_words = 16;          // tokens of a title that are read; 0: all

  bool given() const noexcept { return !folder.empty(); }
  bool adapts() const noexcept { return !lora.empty() || !adapter.empty(); }
};

using BackbonePointer = std::shared_ptr<const simgr::io::Backbone>;

/// With the adapters, where there are some.
/// Errors  those of io::Backbone
BackbonePointer open_backbone(const BackboneOptions& options);

/// The row of a model over this language model, in the precision asked for, with adapters where they are
/// asked for.
/// Errors  UsageError: there is none; the message lists those there are
const ModelKind& kind_over(const std::string& model, const BackboneOptions& options,
                           const simgr::io::Backbone& backbone);

/// How histories of these items are put into words.
/// Errors  UsageError: titles are asked for and the folder has none;  those of Backbone::prompt
simgr::Prompt prompt_of(const simgr::io::Backbone& backbone, const BackboneOptions& options,
                        const DataFolder& folder);

/// Of every code of the ids in a file, digit after digit, the words of its term; ids without terms: none.
/// Errors  those of io::read_ids_and_terms
simgr::Ragged<std::int32_t> words_of_digits(const simgr::io::Backbone& backbone,
                                            const std::string& ids);

/// `--lora` as settings of a model.
/// Errors  UsageError: it is no list of rank, alpha, dropout and targets, or the model has no adapters
std::vector<Setting> settings_of_lora(const std::string& text, const ModelKind& kind);
/// Errors  UsageError: adapters are asked for and the model has none
void require_adapters(const BackboneOptions& options, const ModelKind& kind);

}  // namespace simgr_cli
