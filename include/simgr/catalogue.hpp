// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <simgr/core/error.hpp>
#include <simgr/core/items_view.hpp>
#include <simgr/core/owned_matrix.hpp>
#include <simgr/core/prompt.hpp>
#include <simgr/core/ragged.hpp>
#include <simgr/tokenizer/item_id.hpp>

namespace simgr::SIMGR_ABI {

/// Which items have to do with which: of each, others, the nearest first (train/relations.hpp). An item
/// may have none.
struct Relations {
  Ragged<ItemId> collaborative{}, semantic{};  // [items]; of no sequences: unknown
};

/// What is known of the items. Every model is `Model(catalogue, config)` and says in a ConfigError
/// which part it misses.
struct Catalogue {
  Index items = 0;                    // size; taken from the parts below where it is 0
  std::vector<std::string> keys{};    // [items], the host's names; empty: dense ids are the names
  SemanticIds ids{};                  // [items, digits]; empty: none
  OwnedMatrix<float> text_vectors{};  // [items, width]; empty: none
  OwnedMatrix<float> item_vectors{};  // [items, width], of a model trained before; empty: none
  std::vector<Index> popularity{};    // [items], interactions in the training part; empty: unknown
  Prompt prompt{};                    // of a language model; empty: none
  /// [items], such as brand and categories, as ascending numbers; empty: none. Training may read them;
  /// no model keeps them.
  Ragged<std::int32_t> attributes{};
  Relations relations{};  // of training alone
};

/// Takes `items` from the parts where it is 0.
/// @throws ConfigError  parts of different numbers of items, or no item at all
inline void settle_size(Catalogue& catalogue) {
  const auto agree = [&](Index count, const char* what) {
    if (count == 0) {
      return;
    }
    if (catalogue.items == 0) {
      catalogue.items = count;
    }
    if (count != catalogue.items) {
      SIMGR_THROW(ConfigError("catalogue." + std::string(what) + ": expected " +
                              std::to_string(catalogue.items) + " items, found " +
                              std::to_string(count)));
    }
  };
  agree(catalogue.ids.items(), "ids");
  agree(static_cast<Index>(catalogue.keys.size()), "keys");
  agree(catalogue.text_vectors.rows, "text_vectors");
  agree(catalogue.item_vectors.rows, "item_vectors");
  agree(static_cast<Index>(catalogue.popularity.size()), "popularity");
  agree(catalogue.prompt.texts.sequences(), "prompt.texts");
  agree(catalogue.attributes.sequences(), "attributes");
  agree(catalogue.relations.collaborative.sequences(), "relations.collaborative");
  agree(catalogue.relations.semantic.sequences(), "relations.semantic");
  if (catalogue.items <= 0) {
    SIMGR_THROW(ConfigError("catalogue: it has no items"));
  }
}

inline CatalogueSizes sizes_of(const Catalogue& catalogue) {
  const Prompt& prompt = catalogue.prompt;
  return {catalogue.items,
          catalogue.ids.digits(),
          catalogue.ids.table_rows(),
          catalogue.text_vectors.cols,
          catalogue.item_vectors.cols,
          prompt.words,
          PromptView(prompt).around()};
}

}  // namespace simgr::SIMGR_ABI
