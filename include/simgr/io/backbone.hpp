// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <simgr/core/float_formats.hpp>
#include <simgr/core/prompt.hpp>
#include <simgr/io/adapter_folder.hpp>
#include <simgr/io/backbone_form.hpp>
#include <simgr/io/model_config.hpp>
#include <simgr/io/model_folder.hpp>
#include <simgr/io/text_tokenizer.hpp>
#include <simgr/io/tokenizer_config.hpp>
#include <simgr/task.hpp>
#include <simgr/text/prompt_template.hpp>

namespace simgr::SIMGR_ABI::io {

/// How a history is put into words.
struct PromptOptions {
  std::string pattern = "A customer bought, the oldest first:{history}. What comes next:";
  std::string between = ",";       // two items
  bool ids = true, texts = false;  // what is read of an item
  Index longest_text = 16;         // words of an item's text that are read; 0: all
};

/// Wordings of the tasks besides the next item: a task of task.hpp, and a pattern with a slot {item}
/// or {history}.
struct TaskWording {
  std::string_view task, pattern;
};
inline constexpr TaskWording task_wordings[] = {
    {ItemToIndex::name, "Which code stands for{item}? Code:"},
    {ItemToIndex::name, "The product is called{item}. Its code is"},
    {IndexToItem::name, "What is the product with the code{item} called? Name:"},
    {IndexToItem::name, "The code{item} belongs to the product named"},
    {HistoryToText::name,
     "A customer bought, the oldest first:{history}. The next product is named"},
    {HistoryToText::name, "After{history} comes a product. Its name:"},
    {TextsToIndex::name, "A customer bought, the oldest first:{history}. The code of the next is"},
    {TextsToIndex::name, "After the products{history} comes one with the code"},
    {CollaborativeNeighbours::name,
     "Customers who bought{item} also bought, the most of them first:"},
    {SemanticNeighbours::name, "Products most like{item}, the nearest first:"},
};

/// A published language model in its folder, from which recommenders are fine-tuned.
///
///   const auto backbone = io::Backbone::open("Qwen2-0.5B");
///   Catalogue catalogue{.keys = keys, .ids = ids};
///   catalogue.prompt = backbone.prompt({}, titles);
///   Model::Config config;
///   backbone.configure<Model>(config);
///   Model model(catalogue, config, backbone.weights<Model>());
///
/// It may come with adapters that Python's peft or `simgr export` wrote: then training goes on from
/// them, over a frozen model.
///
/// Const functions may run at the same time. The folder stays mapped as long as it lives.
///
/// Errors  those of the readers of config.json, tokenizer.json, tokenizer_config.json, adapter_config.json
///         and of the weights
class Backbone {
public:
  /// @param adapter  a folder of adapters, or empty
  static Result<Backbone> try_open(const std::string& path, const std::string& adapter = {}) {
    const auto beside = [&](const char* name) {
      return (std::filesystem::path(path) / name).string();
    };
    auto facts = try_read_model_config(beside("config.json"));
    if (!facts) {
      return facts.error();
    }
    std::optional<Adapters> adapters;
    if (!adapter.empty()) {
      const std::string file = (std::filesystem::path(adapter) / adapter_config_name).string();
      const auto read = try_read_adapter_config(file);
      if (!read) {
        return read.error();
      }
      const auto meant = try_adapters_of(read.value(), facts.value(), file);
      if (!meant) {
        return meant.error();
      }
      if (Failure failure = detail::check_adapter_rank(adapter, meant.value().rank)) {
        return *std::move(failure);
      }
      adapters = meant.value();
    }
    auto tokenizer = try_read_text_tokenizer(beside("tokenizer.json"));
    if (!tokenizer) {
      return tokenizer.error();
    }
    if (tokenizer->vocabulary_size() > facts->vocabulary) {
      return ConfigError("tokenizer.json has " + std::to_string(tokenizer->vocabulary_size()) +
                             " tokens, expected at most the " + std::to_string(facts->vocabulary) +
                             " of config.json",
                         {.file = path});
    }
    auto said = try_read_tokenizer_config(path);
    if (!said) {
      return said.error();
    }
    auto folder = ModelFolder::try_open(path);
    if (!folder) {
      return folder.error();
    }
    Backbone backbone(path, std::move(facts).value(), std::move(tokenizer).value(),
                      std::move(folder).value());
    backbone.adapter_ = adapter;
    backbone.adapters_ = adapters;
    backbone.longest_ = said->longest;
    const Index end = backbone.tokenizer_.id(said->end);
    backbone.end_ = static_cast<std::int32_t>(end >= 0 ? end : backbone.facts_.end);
    return backbone;
  }
  static Backbone open(const std::string& path, const std::string& adapter = {}) {
    return try_open(path, adapter).value_or_raise();
  }

  const std::string& path() const noexcept { return path_; }
  const LanguageModelFacts& facts() const noexcept { return facts_; }
  const text::TextTokenizer& tokenizer() const noexcept { return tokenizer_; }

  /// @param texts  [items]; read where the options say so, and by tasks of training. None: neither
  ///
  /// Errors  ConfigError: a pattern that is broken or has not one slot {history}; neither ids nor texts
  Prompt prompt(const PromptOptions& options = {}, std::span<const std::string> texts = {}) const {
    Prompt prompt{.words = facts_.vocabulary,
                  .ids = options.ids,
                  .read_texts = options.texts,
                  .wording = wording(options.pattern, "history", options.between),
                  .end = end_,
                  .longest_text = std::max<Index>(options.longest_text, 0)};
    for (const std::string& each : texts) {
      const auto words = tokenizer_.encode(" " + each, {.longest = prompt.longest_text}).ids;
      prompt.texts.push_back(std::vector<std::int32_t>(words.begin(), words.end()));
    }
    for (const TaskWording& each : task_wordings) {
      const bool one = each.pattern.find("{item}") != std::string_view::npos;
      prompt.tasks.push_back({std::string(each.task),
                              wording(each.pattern, one ? "item" : "history", options.between)});
    }
    if (const std::string sentence = problem_of(prompt); !sentence.empty()) {
      raise(ConfigError("prompt: " + sentence));
    }
    return prompt;
  }

  /// The numbers that the folders decide. Dropout, but that of adapters, is zero: how much there is,
  /// training says. A model that predicts tokens has a head of its own where the folder has one; an
  /// encoder alone does not know of it.
  ///
  /// @tparam E  a Recommender, or an encoder
  ///
  /// Errors  ConfigError: encoders of type E read no such model, or have no adapters
  template <class E>
  void configure(typename E::Config& config) const {
    if constexpr (requires { typename E::EncoderType; }) {
      configure<typename E::EncoderType>(config.encoder);
      if constexpr (E::autoregressive ||
                    !std::is_same_v<typename E::TasksType, TaskMix<NextItem>>) {
        config.encoder.embedding.untied = facts_.untied();
      }
    } else {
      configure_encoder<E>(config);
    }
  }

  /// The words of every term, digit after digit: what weights() may begin the rows of digits with. Hyphens
  /// are blanks.
  ///
  /// @param terms  [digits] of [codes]
  Ragged<std::int32_t> words_of(std::span<const std::vector<std::string>> terms) const {
    Ragged<std::int32_t> words;
    for (const std::vector<std::string>& of_digit : terms) {
      for (std::string term : of_digit) {
        std::replace(term.begin(), term.end(), '-', ' ');
        const auto tokens = tokenizer_.encode(" " + term).ids;
        words.push_back(std::vector<std::int32_t>(tokens.begin(), tokens.end()));
      }
    }
    return words;
  }

  /// What fills the block of a new Recommender, or of one over the encoder E: the folders' weights, and
  /// first values of what they do not have.
  ///
  /// @param words_of_digits  of each code, digit after digit: its row begins as the mean of theirs; none:
  ///                         as it is drawn. No codes at all: so do all
  ///
  /// Errors  of what it returns: those of load_parameters and load_adapters; ConfigError: words of another
  ///         number of codes
  template <class E>
  auto weights(std::uint64_t seed = 1, Ragged<std::int32_t> words_of_digits = {}) const {
    if constexpr (requires { typename E::EncoderType; }) {
      return weights<typename E::EncoderType>(seed, std::move(words_of_digits));
    } else {
      return [this, seed, words_of_digits = std::move(words_of_digits)](const ParameterTable& table,
                                                                        std::span<float> block) {
        if (Failure failure =
                BackboneForm<E>::try_load(folder_, facts_, table, block, seed, "encoder.")) {
          raise(*failure);
        }
        if (adapters_) {
          load_adapters(adapter_, facts_, table, block, {.prefix = "encoder."});
        }
        if (words_of_digits.sequences() > 0) {
          begin_digits(table, block, words_of_digits);
        }
      };
    }
  }

private:
  template <class E>
  void configure_encoder(typename E::Config& config) const {
    if (Failure failure = BackboneForm<E>::configure(facts_, config)) {
      raise(ConfigError(failure->what(), {.file = path_}));
    }
    if constexpr (requires { config.embedding.longest; }) {
      if (longest_ > 0) {
        config.embedding.longest = std::min(config.embedding.longest, longest_);
      }
    }
    if (adapters_) {
      if constexpr (requires { requires E::adapted; }) {
        config.adapters = *adapters_;
      } else {
        raise(ConfigError("expected an encoder with adapters, found one without",
                          {.file = adapter_}));
      }
    }
  }
  /// Rows of digits as means of words; of those that are predicted, too, where they are apart.
  static void begin_digits(const ParameterTable& table, std::span<float> block,
                           RaggedView<std::int32_t> words_of_digits) {
    const auto named = [&](std::string_view name) {
      return std::find_if(table.tensors.begin(), table.tensors.end(),
                          [&](const TensorEntry& tensor) { return tensor.name == name; });
    };
    bool found = false;
    for (const auto& [of_digits, of_words] :
         {std::pair("encoder.embedding.digits", "encoder.embedding.table"),
          std::pair("encoder.embedding.head_digits", "encoder.embedding.head")}) {
      const auto digits = named(of_digits), words = named(of_words);
      if (digits != table.tensors.end() && words != table.tensors.end()) {
        begin_rows(*digits, *words, block, words_of_digits);
        found = true;
      }
    }
    if (!found) {
      raise(ConfigError("words of digits: the model has no rows of digits"));
    }
  }
  static void begin_rows(const TensorEntry& digits, const TensorEntry& words,
                         std::span<float> block, RaggedView<std::int32_t> words_of_digits) {
    const Index codes = digits.shape.front(), width = digits.shape.back();
    if (words_of_digits.sequences() != codes) {
      raise(ConfigError("words of digits: expected those of " + std::to_string(codes) +
                        " codes, found those of " + std::to_string(words_of_digits.sequences())));
    }
    const float* const from = block.data() + words.offset;
    const auto word = [&](std::int32_t row, Index k) {
      const auto at = static_cast<std::size_t>(row * width + k);
      return words.storage == Storage::bf16 ? widened(reinterpret_cast<const BFloat16*>(from)[at])
                                            : from[at];
    };
    for (Index code = 0; code < codes; ++code) {
      const std::span<const std::int32_t> said = words_of_digits[code];
      for (const std::int32_t row : said) {
        if (row < 0 || row >= words.shape.front()) {
          raise(ConfigError("words of digits: expected 0 to " +
                            std::to_string(words.shape.front() - 1) + ", found " +
                            std::to_string(row)));
        }
      }
      for (Index k = 0; k < width && !said.empty(); ++k) {
        double sum = 0;
        for (const std::int32_t row : said) { sum += static_cast<double>(word(row, k)); }
        block[static_cast<std::size_t>(digits.offset + code * width + k)] =
            static_cast<float>(sum / static_cast<double>(said.size()));
      }
    }
  }
  Prompt::Wording wording(std::string_view sentence, const std::string& slot,
                          std::string_view between) const {
    const text::PromptTemplate pattern(sentence);
    if (pattern.slots() != std::vector<std::string>{slot}) {
      raise(ConfigError("a prompt of histories has one slot, {" + slot +
                        "}: " + std::string(sentence)));
    }
    const auto special = tokenizer_.around();
    Prompt::Wording wording;
    wording.before.assign(special.before.begin(), special.before.end());
    const auto append = [&](std::string_view words, std::vector<std::int32_t>& to) {
      const auto tokens = tokenizer_.encode(words).ids;
      to.insert(to.end(), tokens.begin(), tokens.end());
    };
    append(pattern.prefix(), wording.before);
    append(between, wording.between);
    append(pattern.suffix(), wording.behind);
    wording.behind.insert(wording.behind.end(), special.behind.begin(), special.behind.end());
    return wording;
  }

  Backbone(std::string path, LanguageModelFacts facts, text::TextTokenizer tokenizer,
           ModelFolder folder)
      : path_(std::move(path)), facts_(std::move(facts)), tokenizer_(std::move(tokenizer)),
        folder_(std::move(folder)) {}

  std::string path_, adapter_;
  Index longest_ = 0;      // tokens of a text, where the tokenizer says so
  std::int32_t end_ = -1;  // the token that ends a text
  std::optional<Adapters> adapters_;
  LanguageModelFacts facts_;
  text::TextTokenizer tokenizer_;
  ModelFolder folder_;
};

}  // namespace simgr::SIMGR_ABI::io
