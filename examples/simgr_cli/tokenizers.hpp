// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <simgr_cli/commands.hpp>

#include <simgr/tokenizer/resolve_collisions.hpp>

// What the files of `simgr tokenize` share: each method is one function from a Request to ids.

namespace simgr_cli {

namespace tokenizer = simgr::tokenizer;
using simgr::SemanticIds;
using tokenizer::Collision;
using Vectors = simgr::OwnedMatrix<float>;

/// What a method works on.
struct Request {
  const TokenizeOptions& options;
  const DataFolder& folder;
  simgr::cpu::ThreadPool& pool;
  Vectors vectors{};                   // [items, width]
  Vectors fitted{};                    // those that codebooks are fitted to; empty: all
  Vectors collaborative{};             // [items, any], by who buys them; empty: nobody asked
  simgr::Ragged<ItemId> neighbours{};  // of all items, by histories; empty: nobody asked

  const Vectors& to_fit() const { return fitted.empty() ? vectors : fitted; }
};

/// Ids with their collisions, and how to treat those.
struct Made {
  SemanticIds ids;
  std::function<SemanticIds(Collision)> resolve;
};

inline void set(auto& config, const std::string& name, const std::string& value) {
  if (const simgr::Failure failure = simgr::try_set_field(config, name, value)) {
    throw UsageError(std::string("--set: ") + failure->what());
  }
}

/// A Config with what the command line says; `levels` is the name of its number of digits.
///
/// Errors  UsageError: no such setting, or more codes of a digit than items could have a use for
template <class Config>
Config configured(const Request& request, const char* levels) {
  const TokenizeOptions& options = request.options;
  Config config;
  const auto take = [&](const char* name, const auto& value) {
    if (value) {
      set(config, name, std::to_string(*value));
    }
  };
  take(levels, options.levels);
  take("codes", options.codes);
  take("iterations", options.iterations);
  take("seed", options.seed);
  for (const std::string& setting : options.set) {
    const std::size_t sign = setting.find('=');
    if (sign == std::string::npos) {
      throw UsageError("--set takes NAME=VALUE, found " + setting);
    }
    set(config, setting.substr(0, sign), setting.substr(sign + 1));
  }
  const Index most = std::max<Index>(4096, request.folder.items());
  Config::for_each_field(config, [&](const auto& field, const auto& value) {
    if constexpr (std::is_same_v<std::remove_cvref_t<decltype(value)>, Index>) {
      if (std::string_view(field.name) == "codes" && value > most) {
        throw UsageError("--codes: " + std::to_string(value) + " codes of a digit for " +
                         std::to_string(request.folder.items()) +
                         " items are out of proportion; at most " + std::to_string(most));
      }
    }
  });
  return config;
}

/// These codes, made by codebooks that look at `vectors`.
template <class Quantizer>
Made made_by(Quantizer quantizer, Vectors vectors, simgr::OwnedMatrix<std::int32_t> codes) {
  SemanticIds ids;
  ids.codes = std::move(codes);
  ids.codes_per_digit = quantizer.codes_per_level();
  auto resolve = [ids, quantizer = std::move(quantizer),
                  vectors = std::move(vectors)](Collision collision) {
    return tokenizer::resolve_collisions(quantizer, vectors, ids, collision);
  };
  return {ids, std::move(resolve)};
}
/// The nearest codes of all items.
template <class Quantizer>
Made made_by(Quantizer quantizer, Vectors vectors, simgr::cpu::ThreadPool& pool) {
  auto codes = quantizer.encode(vectors, pool);
  return made_by(std::move(quantizer), std::move(vectors), std::move(codes));
}

/// Rows of the items that occur in the training part.
Vectors training_rows(const DataFolder& folder, const Vectors& vectors);

/// Where the SASRec lies that LETTER's tokenizer trains.
inline std::string collaborative_path(const std::string& out) {
  return out + ".sasrec";
}
/// Item vectors of the width: those of the file given, else of a SASRec that is trained now, on the
/// training part alone. Of a model, the rows of items that it was not trained with are zero.
///
/// @param width  0: any, of a file
Vectors collaborative_vectors_of(const Request& request, Index width);

// In a file of their own, so that neither takes long to compile.
Made by_rq_vae(Request& request);
Made by_letter(Request& request);
Made by_plum(Request& request);
Made by_balanced_kmeans(Request& request);
Made by_hierarchical_kmeans(Request& request);

}  // namespace simgr_cli
