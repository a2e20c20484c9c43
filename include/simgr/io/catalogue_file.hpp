// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <simgr/catalogue.hpp>
#include <simgr/io/checkpoint.hpp>

// What a model file holds of the catalogue, apart from the weights:
//
//   catalogue/size             [1] I64
//   catalogue/keys.bytes       [bytes] U8     the host's names, where there are any
//   catalogue/keys.offsets     [items + 1] I64
//   catalogue/codes            [items, digits] I32
//   catalogue/codes_per_digit  [digits] I64
//   catalogue/text_vectors     [items, width] F32, of a model that reads them
//   catalogue/item_vectors     [items, width] F32, likewise
//   catalogue/popularity       [items] I64
//   catalogue/prompt.sizes     [2] I64: words, and whether items are read by their ids; of a model
//                              that reads prompts, as those below
//   catalogue/prompt.before, .between, .behind  [words of each] I32
//   catalogue/prompt.texts, .texts.offsets      [words of all items] I32, [items + 1] I64, where
//                                               texts are read

namespace simgr::SIMGR_ABI::io {

namespace detail {

inline void add_prompt(CheckpointWriter& writer, const Prompt& prompt) {
  const std::int64_t sizes[] = {prompt.words, prompt.ids ? 1 : 0};
  writer.add_copy("catalogue/prompt.sizes", {2}, std::span<const std::int64_t>(sizes));
  const auto add_words = [&](const char* name, const std::vector<std::int32_t>& words) {
    if (!words.empty()) {
      writer.add_copy(name, {std::ssize(words)}, std::span<const std::int32_t>(words));
    }
  };
  add_words("catalogue/prompt.before", prompt.wording.before);
  add_words("catalogue/prompt.between", prompt.wording.between);
  add_words("catalogue/prompt.behind", prompt.wording.behind);
  if (prompt.read_texts) {
    add_words("catalogue/prompt.texts", prompt.texts.values);
    const std::vector<std::int64_t> offsets(prompt.texts.offsets.begin(),
                                            prompt.texts.offsets.end());
    writer.add_copy("catalogue/prompt.texts.offsets", {std::ssize(offsets)},
                    std::span<const std::int64_t>(offsets));
  }
}

/// Nothing where the file has no prompt.
inline Failure read_prompt(const Checkpoint& checkpoint, Index items, Prompt& prompt) {
  if (checkpoint.find("catalogue/prompt.sizes") == nullptr) {
    return std::nullopt;
  }
  const Index two[] = {2};
  auto sizes = checkpoint.try_read<std::int64_t>("catalogue/prompt.sizes", two);
  if (!sizes) {
    return sizes.error();
  }
  if ((*sizes)[0] < 1 || (*sizes)[0] > INT32_MAX || (*sizes)[1] < 0 || (*sizes)[1] > 1) {
    return DataError("expected 1 to 2147483647 words, and 0 or 1, found " +
                         std::to_string((*sizes)[0]) + " and " + std::to_string((*sizes)[1]),
                     {.file = checkpoint.file(), .field = "catalogue/prompt.sizes"});
  }
  prompt.words = (*sizes)[0];
  prompt.ids = (*sizes)[1] == 1;
  const auto read_words = [&](const char* name, std::vector<std::int32_t>& into) -> Failure {
    if (checkpoint.find(name) == nullptr) {
      return std::nullopt;
    }
    auto words = checkpoint.try_read<std::int32_t>(name);
    if (!words) {
      return words.error();
    }
    into = std::move(*words);
    return std::nullopt;
  };
  for (const auto& [name, into] : {std::pair("catalogue/prompt.before", &prompt.wording.before),
                                   std::pair("catalogue/prompt.between", &prompt.wording.between),
                                   std::pair("catalogue/prompt.behind", &prompt.wording.behind),
                                   std::pair("catalogue/prompt.texts", &prompt.texts.values)}) {
    if (Failure failure = read_words(name, *into)) {
      return failure;
    }
  }
  constexpr const char* offsets_name = "catalogue/prompt.texts.offsets";
  if (checkpoint.find(offsets_name) != nullptr) {
    const Index shape[] = {items + 1};
    auto offsets = checkpoint.try_read<std::int64_t>(offsets_name, shape);
    if (!offsets) {
      return offsets.error();
    }
    if (offsets->front() != 0 || offsets->back() != prompt.texts.tokens() ||
        !std::is_sorted(offsets->begin(), offsets->end())) {
      return DataError("expected ascending numbers from 0 to " +
                           std::to_string(prompt.texts.tokens()),
                       {.file = checkpoint.file(), .field = offsets_name});
    }
    prompt.texts.offsets.assign(offsets->begin(), offsets->end());
    prompt.read_texts = true;
  } else if (!prompt.texts.values.empty()) {
    return DataError("expected offsets of the texts, the file has none",
                     {.file = checkpoint.file(), .field = offsets_name});
  }
  if (const std::string sentence = problem_of(prompt); !sentence.empty()) {
    return DataError(sentence, {.file = checkpoint.file(), .field = "catalogue/prompt"});
  }
  return std::nullopt;
}

}  // namespace detail

/// Adds the tensors above. Sizes and popularity are copied; so are codes and keys.
inline void add_catalogue(CheckpointWriter& writer, const Catalogue& catalogue) {
  const auto as_integers = [](const std::vector<Index>& values) {
    return std::vector<std::int64_t>(values.begin(), values.end());
  };
  const std::int64_t size = catalogue.items;
  writer.add_copy("catalogue/size", {1}, std::span<const std::int64_t>(&size, 1));
  if (!catalogue.keys.empty()) {
    writer.add_strings("catalogue/keys", catalogue.keys);
  }
  if (!catalogue.ids.empty()) {
    const SemanticIds& ids = catalogue.ids;
    writer.add_copy("catalogue/codes", {ids.items(), ids.digits()},
                    std::span<const std::int32_t>(ids.codes.values));
    const auto codes = as_integers(ids.codes_per_digit);
    writer.add_copy("catalogue/codes_per_digit", {ids.digits()},
                    std::span<const std::int64_t>(codes));
  }
  const auto add_vectors = [&](const char* name, const OwnedMatrix<float>& vectors) {
    if (!vectors.empty()) {
      writer.add_copy(name, {vectors.rows, vectors.cols}, std::span<const float>(vectors.values));
    }
  };
  add_vectors("catalogue/text_vectors", catalogue.text_vectors);
  add_vectors("catalogue/item_vectors", catalogue.item_vectors);
  if (!catalogue.popularity.empty()) {
    const auto popularity = as_integers(catalogue.popularity);
    writer.add_copy("catalogue/popularity", {catalogue.items},
                    std::span<const std::int64_t>(popularity));
  }
  if (!catalogue.prompt.empty()) {
    detail::add_prompt(writer, catalogue.prompt);
  }
}

/// Reads what add_catalogue wrote.
///
/// Errors  DataError or ShapeError naming the tensor: parts of different length, a code outside its
///         digit, a vector that is not finite, a negative count
inline Result<Catalogue> try_read_catalogue(const Checkpoint& checkpoint) {
  const auto fail = [&](const char* field, const std::string& sentence) {
    return DataError(sentence, {.file = checkpoint.file(), .field = field});
  };
  Catalogue catalogue;
  const Index one[] = {1};
  auto size = checkpoint.try_read<std::int64_t>("catalogue/size", one);
  if (!size) {
    return size.error();
  }
  catalogue.items = size->front();
  if (catalogue.items < 1 || catalogue.items > INT32_MAX) {
    return fail("catalogue/size",
                "expected 1 to 2147483647 items, found " + std::to_string(catalogue.items));
  }
  if (checkpoint.find("catalogue/keys.bytes") != nullptr) {
    auto keys = checkpoint.try_strings("catalogue/keys");
    if (!keys) {
      return keys.error();
    }
    if (std::ssize(*keys) != catalogue.items) {
      return fail("catalogue/keys", "expected " + std::to_string(catalogue.items) +
                                        " keys, found " + std::to_string(keys->size()));
    }
    catalogue.keys = std::move(*keys);
  }
  if (const TensorView* stored = checkpoint.find("catalogue/codes")) {
    auto per_digit = checkpoint.try_read<std::int64_t>("catalogue/codes_per_digit");
    if (!per_digit) {
      return per_digit.error();
    }
    const Index shape[] = {catalogue.items, std::ssize(*per_digit)};
    auto codes = checkpoint.try_read<std::int32_t>(stored->name, shape);
    if (!codes) {
      return codes.error();
    }
    std::int64_t left = INT32_MAX;  // for the sum: so many rows has a digit table at most
    for (const std::int64_t count : *per_digit) {
      if (count < 1 || count > left) {
        return fail("catalogue/codes_per_digit", "expected 1 to " + std::to_string(left) +
                                                     " codes, found " + std::to_string(count));
      }
      left -= count;
    }
    for (std::size_t i = 0; i < codes->size(); ++i) {
      const std::size_t digit = i % per_digit->size();
      if ((*codes)[i] < 0 || (*codes)[i] >= (*per_digit)[digit]) {
        return fail("catalogue/codes", "digit " + std::to_string(digit) + " of item " +
                                           std::to_string(i / per_digit->size()) +
                                           ": expected 0 to " +
                                           std::to_string((*per_digit)[digit] - 1) + ", found " +
                                           std::to_string((*codes)[i]));
      }
    }
    catalogue.ids.codes.values = std::move(*codes);
    catalogue.ids.codes.rows = shape[0];
    catalogue.ids.codes.cols = shape[1];
    catalogue.ids.codes_per_digit.assign(per_digit->begin(), per_digit->end());
  }
  const auto read_vectors = [&](const char* name, OwnedMatrix<float>& into) -> Failure {
    const TensorView* stored = checkpoint.find(name);
    if (stored == nullptr) {
      return std::nullopt;
    }
    const Index width = stored->shape.size() == 2 ? stored->shape[1] : 0;
    const Index shape[] = {catalogue.items, std::max<Index>(width, 1)};
    auto vectors = checkpoint.try_read<float>(stored->name, shape);
    if (!vectors) {
      return vectors.error();
    }
    for (std::size_t i = 0; i < vectors->size(); ++i) {
      if (!std::isfinite((*vectors)[i])) {
        return fail(name, "item " + std::to_string(static_cast<Index>(i) / shape[1]) +
                              ": found a number that is not finite");
      }
    }
    into.values = std::move(*vectors);
    into.rows = shape[0];
    into.cols = shape[1];
    return std::nullopt;
  };
  if (Failure failure = read_vectors("catalogue/text_vectors", catalogue.text_vectors)) {
    return *std::move(failure);
  }
  if (Failure failure = read_vectors("catalogue/item_vectors", catalogue.item_vectors)) {
    return *std::move(failure);
  }
  if (checkpoint.find("catalogue/popularity") != nullptr) {
    const Index shape[] = {catalogue.items};
    auto popularity = checkpoint.try_read<std::int64_t>("catalogue/popularity", shape);
    if (!popularity) {
      return popularity.error();
    }
    for (const std::int64_t count : *popularity) {
      if (count < 0) {
        return fail("catalogue/popularity", "found a negative count");
      }
    }
    catalogue.popularity.assign(popularity->begin(), popularity->end());
  }
  if (Failure failure = detail::read_prompt(checkpoint, catalogue.items, catalogue.prompt)) {
    return *std::move(failure);
  }
  return catalogue;
}

}  // namespace simgr::SIMGR_ABI::io
