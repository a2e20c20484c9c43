// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <simgr/core/fields.hpp>
#include <simgr/core/type_name.hpp>
#include <simgr/io/catalogue_file.hpp>
#include <simgr/io/checkpoint.hpp>
#include <simgr/recommender.hpp>

namespace simgr::SIMGR_ABI::io {

namespace detail {

inline constexpr std::string_view config_prefix = "simgr.config.";

}  // namespace detail

// What a model file calls the types of its model.
inline constexpr const char* type_key = "simgr.type";
inline constexpr const char* loss_key = "simgr.loss";
inline constexpr const char* ranker_key = "simgr.ranker";

/// Notes every field of a Config.
template <class Config>
void add_config(CheckpointWriter& writer, const Config& config) {
  for (const FieldText& field : list_fields(config)) {
    writer.set(std::string(detail::config_prefix) + field.name, field.value);
  }
}

/// Sets the fields of a Config that the file notes, but those whose names begin with `but`.
///
/// Errors  ConfigError: a field that this Config does not have, or out of its range
template <class Config>
Failure try_read_config(const Checkpoint& checkpoint, Config& config, std::string_view but = {}) {
  for (const MetadataEntry& entry : checkpoint.texts()) {
    if (!entry.key.starts_with(detail::config_prefix)) {
      continue;
    }
    const std::string name = entry.key.substr(detail::config_prefix.size());
    if (!but.empty() && name.starts_with(but)) {
      continue;
    }
    if (const Failure failure = try_set_field(config, name, entry.text)) {
      return ConfigError(failure->what(), {.file = checkpoint.file()});
    }
  }
  return std::nullopt;
}

/// What files of models begin with that are one class and no composition of stages.
template <class Config>
struct ModelHead {
  Config config;
  Catalogue catalogue;
};

template <class Config>
void add_head(CheckpointWriter& writer, const std::string& type, const Config& config,
              const Catalogue& catalogue) {
  writer.set(type_key, type);
  add_config(writer, config);
  add_catalogue(writer, catalogue);
}

/// Errors  DataError: a model of another type
inline Failure check_head(const Checkpoint& checkpoint, const std::string& type) {
  const std::string* found = checkpoint.find_text(type_key);
  if (found != nullptr && *found == type) {
    return std::nullopt;
  }
  return DataError("expected " + type + ", the file holds " +
                       (found == nullptr ? "another model" : *found),
                   {.file = checkpoint.file(), .field = type_key});
}
/// Errors  those of check_head, try_read_config and try_read_catalogue
template <class Config>
Result<ModelHead<Config>> try_read_head(const Checkpoint& checkpoint, const std::string& type) {
  if (Failure failure = check_head(checkpoint, type)) {
    return *std::move(failure);
  }
  ModelHead<Config> head;
  if (Failure failure = try_read_config(checkpoint, head.config)) {
    return *std::move(failure);
  }
  auto catalogue = try_read_catalogue(checkpoint);
  if (!catalogue) {
    return catalogue.error();
  }
  head.catalogue = std::move(catalogue).value();
  return head;
}

/// A model as one file: weights by name, config as text, what is known of the items, and of which
/// types the model is.
///
/// The file is a checkpoint (checkpoint.hpp): every tool that reads safetensors opens it. Writing
/// replaces the file as a whole and keeps the one before as `<path>.previous`. Its metadata:
///
///   simgr.config.<field>  every field of the Config
///   simgr.type            the types that turn a history into scores: encoder, pooler and
///                         similarity, as core/type_name.hpp writes them
///   simgr.loss            the type that trained it
///   simgr.ranker          the type that made its lists. Weights serve under any: a model with
///                         another (with_ranker) reads the numbers of all stages but that one
template <class Model>
struct ModelFile {
  using Parts = typename Model::Parts;
  using Config = typename Model::Config;

  /// @param extra  further metadata; keys must not begin with "simgr."
  ///
  /// Errors  those of CheckpointWriter::try_set_own and try_write
  static Failure try_save(const Model& model, const std::string& path,
                          std::span<const MetadataEntry> extra = {}) {
    CheckpointWriter writer;
    add_to(writer, model);
    if (Failure failure = writer.try_set_own(extra)) {
      return failure;
    }
    return writer.try_write(path, Keep::previous);
  }
  static void save(const Model& model, const std::string& path,
                   std::span<const MetadataEntry> extra = {}) {
    if (const Failure failure = try_save(model, path, extra)) {
      raise(*failure);
    }
  }

  /// What a model file holds; training states hold it too.
  static void add_to(CheckpointWriter& writer, const Model& model) {
    writer.set(type_key, type());
    writer.set(loss_key, loss());
    writer.set(ranker_key, ranker());
    add_config(writer, model.config());
    add_catalogue(writer, model.catalogue());
    add_parameters(writer, model.table(), model.weights());
  }

  /// Errors  IoError; DataError, ShapeError or ConfigError: a damaged file, a model of other types,
  ///         a field this model does not have or out of its range, tensors that do not fit (all of
  ///         them listed). Nothing is allocated that the file does not fill.
  static Result<Model> try_load(const std::string& path) {
    auto checkpoint = Checkpoint::try_read(path);
    return checkpoint ? try_load(checkpoint.value()) : Result<Model>(checkpoint.error());
  }
  static Model load(const std::string& path) { return try_load(path).value_or_raise(); }

  static Result<Model> try_load(const Checkpoint& checkpoint) {
    if (Failure failure = check_type(checkpoint)) {
      return *std::move(failure);
    }
    auto config = try_config(checkpoint);
    if (!config) {
      return config.error();
    }
    auto catalogue = try_read_catalogue(checkpoint);
    if (!catalogue) {
      return catalogue.error();
    }
    if (Parts::Embedding::needs_ids && catalogue->ids.empty()) {
      return DataError("this model needs semantic ids and the file has none",
                       {.file = checkpoint.file(), .field = "catalogue/codes"});
    }
    if (Parts::reads_text_vectors && catalogue->text_vectors.empty()) {
      return DataError("this model needs text vectors and the file has none",
                       {.file = checkpoint.file(), .field = "catalogue/text_vectors"});
    }
    if (Parts::reads_prompts && catalogue->prompt.empty()) {
      return DataError("this model reads prompts and the file has none",
                       {.file = checkpoint.file(), .field = "catalogue/prompt.sizes"});
    }
    Config sized = config.value();
    sized.encoder.catalogue = sizes_of(*catalogue);
    if (const std::string sentence = Parts::check(sized); !sentence.empty()) {
      return ConfigError(sentence, {.file = checkpoint.file()});
    }
    if (Failure failure = match_parameters(checkpoint, describe<Parts>(sized))) {
      return *std::move(failure);
    }
    Failure failure;
    Model model(std::move(catalogue).value(), config.value(),
                [&](const ParameterTable& table, std::span<float> block) {
                  failure = try_load_parameters(checkpoint, table, block);
                });
    if (failure) {
      return *std::move(failure);
    }
    return model;
  }

  static std::string type() {
    return type_name<typename Model::EncoderType>() + " > " +
           type_name<typename Model::PoolerType>() + " > " +
           type_name<typename Model::SimilarityType>();
  }
  static std::string loss() { return type_name<typename Model::LossType>(); }
  static std::string ranker() { return type_name<typename Model::RankerType>(); }

  /// Whether a file holds a model of these types; a loss does not matter to who serves.
  /// Errors  DataError: of others
  static Failure check_type(const Checkpoint& checkpoint) {
    const std::string* found = checkpoint.find_text(type_key);
    if (found == nullptr || *found == type()) {  // without it, tensors and fields decide
      return std::nullopt;
    }
    return DataError("expected " + type() + ", the file holds " + *found,
                     {.file = checkpoint.file(), .field = std::string(type_key)});
  }

private:
  static Result<Config> try_config(const Checkpoint& checkpoint) {
    Config config;
    const std::string* found = checkpoint.find_text(ranker_key);
    const bool of_another_ranker = found != nullptr && *found != ranker();
    if (Failure failure = try_read_config(checkpoint, config, of_another_ranker ? "ranker." : "")) {
      return *std::move(failure);
    }
    if (const std::string sentence = Parts::check(config); !sentence.empty()) {
      return ConfigError(sentence, {.file = checkpoint.file()});
    }
    return config;
  }
};

}  // namespace simgr::SIMGR_ABI::io
