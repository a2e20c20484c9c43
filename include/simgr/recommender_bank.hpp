// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>  // std::ssize
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <simgr/recommender.hpp>

// How a Recommender lays out what it owns: the checked catalogue, the block of weights, and the rows
// and keys that serve. Declarations stand in recommender.hpp, which includes this file at its end.

namespace simgr::SIMGR_ABI {

template <Encoder E, Pooler P, Similarity S, Loss L, Ranker R, class Tasks>
void Recommender<E, P, S, L, R, Tasks>::complete_catalogue() {
  settle_size(catalogue_);
  if (Parts::Embedding::needs_ids && catalogue_.ids.empty()) {
    SIMGR_THROW(ConfigError(
        "catalogue.ids: this model reads semantic ids and the catalogue has none; make them with "
        "simgr::tokenizer::residual_kmeans(text_vectors, …)"));
  }
  if (!Parts::reads_text_vectors) {
    catalogue_.text_vectors = {};  // who reads their ids alone need not keep them
  }
  if (!Parts::reads_item_vectors) {
    catalogue_.item_vectors = {};
  }
  catalogue_.attributes = {};
  if (!learns_neighbours) {
    catalogue_.relations = {};
  }
  require_vectors(catalogue_);
  if (!Parts::reads_prompts) {
    catalogue_.prompt = {};
  } else {
    require_prompt(catalogue_);
  }
  const SemanticIds& ids = catalogue_.ids;
  if (std::ssize(ids.codes_per_digit) != ids.digits()) {
    SIMGR_THROW(ShapeError("catalogue.ids: codes_per_digit: expected [" +
                           std::to_string(ids.digits()) + "], found [" +
                           std::to_string(ids.codes_per_digit.size()) + "]"));
  }
  digit_rows_ = OwnedMatrix<std::int32_t>(ids.items(), ids.digits());
  digit_starts_.assign(1, 0);
  for (Index l = 0; l < ids.digits(); ++l) {
    const Index first = digit_starts_.back(),
                codes = ids.codes_per_digit[static_cast<std::size_t>(l)];
    if (codes < 0 || codes > INT32_MAX - first) {  // rows are named by 32 bits
      SIMGR_THROW(DataError("catalogue.ids: digit " + std::to_string(l) + ": expected at most " +
                            std::to_string(INT32_MAX - first) + " codes, found " +
                            std::to_string(codes)));
    }
    digit_starts_.push_back(first + codes);
    for (Index i = 0; i < ids.items(); ++i) {
      const std::int32_t code = ids.codes.view()(i, l);
      require_code(ids, i, l, code);
      digit_rows_.view()(i, l) = static_cast<std::int32_t>(first + code);
    }
  }
  item_keys_ = ItemKeys(catalogue_.keys);
  popularity_ = OwnedMatrix<float>(catalogue_.items, 1);
  unseen_.clear();
  for (std::size_t i = 0; i < catalogue_.popularity.size(); ++i) {
    popularity_.values[i] = static_cast<float>(catalogue_.popularity[i]);
    if (catalogue_.popularity[i] == 0) {
      unseen_.push_back(static_cast<ItemId>(i));
    }
  }
}

template <Encoder E, Pooler P, Similarity S, Loss L, Ranker R, class Tasks>
void Recommender<E, P, S, L, R, Tasks>::require_vectors(const Catalogue& catalogue) {
  if (Parts::reads_text_vectors && catalogue.text_vectors.empty()) {
    SIMGR_THROW(ConfigError(
        "catalogue.text_vectors: this model reads a vector of each item's text and the catalogue "
        "has none; make them with simgr::text::text_vectors(texts), or read them with "
        "simgr::data::read_npy(path)"));
  }
  const auto require_finite = [](const char* name, Matrix<const float> vectors) {
    const auto odd = std::find_if_not(vectors.begin(), vectors.end(),
                                      [](float value) { return std::isfinite(value); });
    if (odd != vectors.end()) {
      SIMGR_THROW(DataError("catalogue." + std::string(name) + ": item " +
                            std::to_string((odd - vectors.begin()) / vectors.cols()) +
                            ": found a number that is not finite"));
    }
  };
  require_finite("text_vectors", catalogue.text_vectors.view());
  require_finite("item_vectors", catalogue.item_vectors.view());
}

template <Encoder E, Pooler P, Similarity S, Loss L, Ranker R, class Tasks>
void Recommender<E, P, S, L, R, Tasks>::require_prompt(const Catalogue& catalogue) {
  const Prompt& prompt = catalogue.prompt;
  if (prompt.empty()) {
    SIMGR_THROW(
        ConfigError("catalogue.prompt: this model reads histories as prompts and the catalogue has "
                    "none; make one with simgr::io::Backbone::prompt"));
  }
  if (const std::string sentence = problem_of(prompt); !sentence.empty()) {
    SIMGR_THROW(ConfigError("catalogue.prompt: " + sentence));
  }
}

template <Encoder E, Pooler P, Similarity S, Loss L, Ranker R, class Tasks>
void Recommender<E, P, S, L, R, Tasks>::require_code(const SemanticIds& ids, Index item,
                                                     Index digit, std::int32_t code) {
  const Index codes = ids.codes_per_digit[static_cast<std::size_t>(digit)];
  if (code < 0 || code >= codes) {
    SIMGR_THROW(DataError("catalogue.ids: digit " + std::to_string(digit) + " of item " +
                          std::to_string(item) + ": expected 0 to " + std::to_string(codes - 1) +
                          ", found " + std::to_string(code)));
  }
}

// From catalogue and config to a block of weights that hold nothing yet.
template <Encoder E, Pooler P, Similarity S, Loss L, Ranker R, class Tasks>
void Recommender<E, P, S, L, R, Tasks>::lay_out() {
  complete_catalogue();
  config_.encoder.catalogue = sizes_of(catalogue_);
  if (const std::string sentence = Parts::check(config_); !sentence.empty()) {
    SIMGR_THROW(ConfigError(sentence));
  }
  table_ = describe<Parts>(config_);
  weights_memory_ =
      Arena(static_cast<std::size_t>(table_.block_size) * sizeof(float) + Arena::alignment);
  weights_ = weights_memory_.take<float, 1>({table_.block_size});
  params_ = bind<Parts>(config_, weights_.data());
}

template <Encoder E, Pooler P, Similarity S, Loss L, Ranker R, class Tasks>
void Recommender<E, P, S, L, R, Tasks>::extend(Matrix<const std::int32_t> codes,
                                               std::vector<std::string> names,
                                               Matrix<const float> text_vectors,
                                               RaggedView<std::int32_t> words) {
  const Index first = items();
  Catalogue longer = catalogue_;
  if (codes.cols() != longer.ids.digits() ||
      names.size() != (longer.keys.empty() ? 0 : static_cast<std::size_t>(codes.rows()))) {
    SIMGR_THROW(ShapeError(
        "add_items: expected codes of " + std::to_string(longer.ids.digits()) + " digits" +
        (longer.keys.empty() ? " and no names" : " and a name for each") + ", found " +
        std::to_string(codes.cols()) + " digits and " + std::to_string(names.size()) +
        " names for " + std::to_string(codes.rows()) + " items"));
  }
  OwnedMatrix<float>& texts = longer.text_vectors;
  if (texts.cols != text_vectors.cols() ||
      text_vectors.rows() != (texts.empty() ? 0 : codes.rows())) {
    SIMGR_THROW(ShapeError(
        "add_items: expected text vectors [" + std::to_string(texts.empty() ? 0 : codes.rows()) +
        ", " + std::to_string(texts.cols) + "], found [" + std::to_string(text_vectors.rows()) +
        ", " + std::to_string(text_vectors.cols()) + "]"));
  }
  for (Index i = 0; i < codes.rows(); ++i) {
    for (Index l = 0; l < codes.cols(); ++l) {
      require_code(longer.ids, first + i, l, codes(i, l));
    }
  }
  longer.ids.codes.values.insert(longer.ids.codes.values.end(), codes.begin(), codes.end());
  longer.items = longer.ids.codes.rows = first + codes.rows();
  longer.keys.insert(longer.keys.end(), names.begin(), names.end());
  texts.values.insert(texts.values.end(), text_vectors.begin(), text_vectors.end());
  texts.rows += text_vectors.rows();
  if (const Index expected = longer.prompt.read_texts ? codes.rows() : 0;
      words.sequences() != expected) {
    SIMGR_THROW(ShapeError("add_items: expected the words of " + std::to_string(expected) +
                           " texts, found " + std::to_string(words.sequences())));
  }
  if (!longer.prompt.read_texts) {
    longer.prompt.texts = {};  // of training
  }
  longer.relations = {};  // likewise
  for (Index i = 0; i < words.sequences(); ++i) { longer.prompt.texts.push_back(words[i]); }
  if (!longer.popularity.empty()) {
    longer.popularity.resize(static_cast<std::size_t>(longer.items), 0);
  }
  require_vectors(longer);
  if (Parts::reads_prompts) {
    require_prompt(longer);
  }
  std::swap(catalogue_, longer);
  complete_catalogue();
  config_.encoder.catalogue.items = items();
  compute_bank(first);
  prepare_ranker();
}

// Rows and keys of items first …; those before stay as they are, to the bit.
template <Encoder E, Pooler P, Similarity S, Loss L, Ranker R, class Tasks>
void Recommender<E, P, S, L, R, Tasks>::compute_bank(Index first) {
  Arena arena;
  cpu::Context ctx{arena};
  const Index count = items() - first;
  ItemsView<> added{count, digit_rows_.view().slice(first, digit_rows_.rows == 0 ? 0 : count),
                    digit_starts_};
  if constexpr (Parts::reads_text_vectors) {
    added.text_vectors = items_view().text_vectors.slice(first, count);
  }
  if (!catalogue_.item_vectors.empty()) {
    added.item_vectors = items_view().item_vectors.slice(first, count);
  }
  Config config = config_;
  config.encoder.catalogue.items = count;
  typename Parts::template Shared<float> shared;
  Parts::prepare(config, params_, added, {}, shared, ctx);
  const auto keep = [&](Matrix<const float> view, OwnedMatrix<float>& memory,
                        Index before) -> Matrix<const float> {
    if (view.data() >= weights_.begin() && view.data() < weights_.end()) {
      return view;
    }
    memory.values.resize(static_cast<std::size_t>(before * view.cols()));
    memory.values.insert(memory.values.end(), view.begin(), view.end());
    memory.rows = before + view.rows();
    memory.cols = view.cols();
    return std::as_const(memory).view();
  };
  rows_ = keep(shared.rows, rows_memory_, first);
  if constexpr (Parts::encodes_items) {
    const Matrix<float> keys = ctx.take<float>(count, width());
    typename Parts::template Cache<float> cache;
    std::vector<ItemId> ids;
    constexpr Index at_a_time = 256;
    for (Index begin = 0; begin < count; begin += at_a_time) {
      ids.clear();
      for (Index i = begin; i < std::min(count, begin + at_a_time); ++i) {
        ids.push_back(static_cast<ItemId>(first + i));
      }
      Arena::Scope scope(arena);
      Parts::encode_keys(config_, params_, rows_, items_view(), std::span<const ItemId>(ids),
                         keys.slice(begin, static_cast<Index>(ids.size())), cache, ctx);
    }
    shared.keys = keys;
  }
  if constexpr (Parts::scores_are_products ||
                requires { requires Parts::Candidates::vectors_of_items; }) {
    keys_ = keep(shared.keys, keys_memory_, first);
  } else if constexpr (Parts::scores_digits) {  // one for each code, which new items share
    keys_ = keep(shared.keys, keys_memory_, 0);
  } else {  // one key for each digit, which new items share, and terms for each item
    keys_ = keep(shared.keys, keys_memory_, 0);
    terms_ = keep(shared.terms, terms_memory_, first);
  }
}

// What lists are made with besides scores: a trie, a graph.
template <Encoder E, Pooler P, Similarity S, Loss L, Ranker R, class Tasks>
void Recommender<E, P, S, L, R, Tasks>::prepare_ranker() {
  if constexpr (requires { typename R::State; }) {
    Arena arena;
    cpu::Context ctx{arena};
    if constexpr (autoregressive) {
      typename detail::DecodingState<Parts>::Type state;
      ranker_ = R::prepare(ctx, config_.ranker, decoder({}, state));
    } else {
      ranker_ =
          R::prepare(ctx, config_.ranker, scorer(Matrix<const float>(nullptr, {0, width()}), ctx));
    }
  }
}

// What an encoder reads of histories first … first + count - 1: empty ones are left out and long
// ones are cut to their end.
template <Encoder E, Pooler P, Similarity S, Loss L, Ranker R, class Tasks>
void Recommender<E, P, S, L, R, Tasks>::read_ends(RaggedView<ItemId> histories, Index first,
                                                  Index count, Scratch& scratch) const {
  scratch.values.clear();
  scratch.offsets.assign(1, 0);
  for (Index s = first; s < first + count; ++s) {
    const std::span<const ItemId> history = histories[s];
    const std::size_t kept =
        std::min(history.size(), static_cast<std::size_t>(config_.encoder.max_length));
    if (kept == 0) {
      continue;
    }
    scratch.values.insert(scratch.values.end(), history.end() - static_cast<std::ptrdiff_t>(kept),
                          history.end());
    scratch.offsets.push_back(static_cast<Index>(scratch.values.size()));
  }
}

template <Encoder E, Pooler P, Similarity S, Loss L, Ranker R, class Tasks>
void Recommender<E, P, S, L, R, Tasks>::encode(RaggedView<ItemId> histories, Matrix<float> out,
                                               Scratch& scratch) const {
  read_ends(histories, 0, histories.sequences(), scratch);
  Arena::Scope scope(scratch.arena);
  cpu::Context ctx{scratch.arena};
  fill(ctx, out, 0.0f);
  if (scratch.values.empty()) {
    return;
  }
  const Matrix<const float> by_state = Parts::queries(
      config_, params_, rows_, items_view(), {scratch.values, scratch.offsets}, scratch.cache, ctx);
  const Matrix<const float> queries(by_state.data(),
                                    {by_state.size() / query_width(), query_width()});
  Index next = 0;
  for (Index s = 0; s < histories.sequences(); ++s) {
    if (!histories[s].empty()) {
      copy(ctx, queries.row(next++), out.row(s), Write::assign);
    }
  }
}

template <Encoder E, Pooler P, Similarity S, Loss L, Ranker R, class Tasks>
void Recommender<E, P, S, L, R, Tasks>::require_known(RaggedView<ItemId> histories) const {
  for (const ItemId item : histories.values) {
    if (item < 0 || item >= items()) {
      SIMGR_THROW(DataError("history: item " + std::to_string(item) + " is not one of 0 to " +
                            std::to_string(items() - 1)));
    }
  }
}

}  // namespace simgr::SIMGR_ABI
