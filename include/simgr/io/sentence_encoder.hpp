// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <simgr/core/executor.hpp>
#include <simgr/core/ragged.hpp>
#include <simgr/cpu/cpu.hpp>
#include <simgr/cpu/packed_matrices.hpp>
#include <simgr/encoder/masked_lm.hpp>
#include <simgr/io/crc32c.hpp>
#include <simgr/io/model_config.hpp>
#include <simgr/io/model_weights.hpp>
#include <simgr/io/text_tokenizer.hpp>
#include <simgr/nn/sentence_pooling.hpp>
#include <simgr/scratch_pool.hpp>

namespace simgr::SIMGR_ABI::io {

/// Numbers of a MaskedLm as config.json says them; without dropout, which it is served without.
///
/// Errors  ConfigError: another family or activation
inline Result<MaskedLm<>::Config> masked_lm_config(const LanguageModelFacts& facts) {
  if (facts.family != LanguageFamily::bert || facts.activation != LanguageActivation::gelu_erf) {
    const auto of = [](auto value) {
      return std::string(names_of(value)[static_cast<std::size_t>(value)]);
    };
    return ConfigError("expected a model of the family bert with the activation gelu_erf, found " +
                       of(facts.family) + " with " + of(facts.activation));
  }
  return MaskedLm<>::Config{.vocabulary = facts.vocabulary,
                            .positions = facts.positions,
                            .types = facts.token_types,
                            .width = facts.width,
                            .layers = facts.layers,
                            .heads = facts.heads,
                            .inner = facts.inner,
                            .dropout = 0,
                            .attention_dropout = 0,
                            .epsilon = facts.epsilon};
}

struct SentenceEncoderOptions {
  std::optional<Pooling> pooling{};  // none: what 1_Pooling/config.json says, else the mean
  bool normalised = true;            // vectors of length 1
  Index longest = 0;  // tokens of a text, longer ones are cut; 0: what tokenizer.json truncates to,
                      // else the positions of the model
};

namespace detail {

/// What 1_Pooling/config.json of sentence-transformers asks for; nothing where there is no such file.
inline Result<std::optional<Pooling>> read_pooling(const std::string& path) {
  std::error_code error;
  std::optional<Pooling> found;
  if (!std::filesystem::exists(path, error)) {
    return found;
  }
  const auto text = try_read_text(path, Index{1} << 20);
  const auto root = text ? data::try_parse_json(text.value(), {.file = path}) : text.error();
  if (!root) {
    return root.error();
  }
  const data::JsonValue::Object* members = root.value().as_object();
  Index asked = 0;
  for (std::size_t i = 0; members != nullptr && i < members->size(); ++i) {
    const auto& [key, value] = (*members)[i];
    if (key.starts_with("pooling_mode_") && value.as_boolean().value_or(false)) {
      ++asked;
      found = key == "pooling_mode_mean_tokens" ? std::optional(Pooling::mean)
              : key == "pooling_mode_cls_token" ? std::optional(Pooling::first)
              : key == "pooling_mode_lasttoken" ? std::optional(Pooling::last)
                                                : std::nullopt;
    }
  }
  if (asked != 1 || !found) {
    return DataError("expected one of pooling_mode_mean_tokens, pooling_mode_cls_token and "
                     "pooling_mode_lasttoken to be true, and no other",
                     {.file = path});
  }
  return found;
}

}  // namespace detail

/// Vectors of texts from a published folder: tokenizer.json, config.json and weights of a BERT, such
/// as all-MiniLM-L6-v2.
///
///   text ─► tokens ─► MaskedLm ─► SentencePooling ─► vector
///
/// Const functions may run at the same time.
///
/// Cost    the weights twice in memory: products read a packed copy
/// Errors  those of the readers of the folder; ConfigError: another kind of model, more tokens in the
///         tokenizer than in the table, `longest` above the positions;
///         DataError: a text without any token
class SentenceEncoder {
public:
  using Tokens = std::vector<std::int32_t>;

  static Result<SentenceEncoder> try_open(const std::string& path,
                                          const SentenceEncoderOptions& options = {}) {
    const auto beside = [&](const char* name) {
      return (std::filesystem::path(path) / name).string();
    };
    const auto facts = try_read_model_config(beside("config.json"));
    if (!facts) {
      return facts.error();
    }
    const auto config = masked_lm_config(facts.value());
    if (!config) {
      return ConfigError(config.error().what(), {.file = beside("config.json")});
    }
    auto tokenizer = try_read_text_tokenizer(beside("tokenizer.json"));
    if (!tokenizer) {
      return tokenizer.error();
    }
    const auto pooling = detail::read_pooling(beside("1_Pooling/config.json"));
    if (!pooling) {
      return pooling.error();
    }
    const auto folder = ModelFolder::try_open(path);
    if (!folder) {
      return folder.error();
    }
    SentenceEncoder encoder(config.value(), std::move(tokenizer.value()));
    encoder.pooling_ = {options.pooling.value_or(pooling.value().value_or(Pooling::mean)),
                        options.normalised};
    if (const std::string wrong = encoder.set_longest(options.longest); !wrong.empty()) {
      return ConfigError(wrong, {.file = path});
    }
    const ParameterTable table = describe<MaskedLm<>>(encoder.config_);
    encoder.weights_.resize(static_cast<std::size_t>(table.block_size));
    if (Failure failure = try_load_parameters(folder.value(), facts.value(), table,
                                              std::span<float>(encoder.weights_))) {
      return *std::move(failure);
    }
    encoder.bind_weights();
    return encoder;
  }
  static SentenceEncoder open(const std::string& path, const SentenceEncoderOptions& options = {}) {
    return try_open(path, options).value_or_raise();
  }

  Index width() const noexcept { return config_.width; }
  Index longest() const noexcept { return longest_; }
  const SentencePooling::Config& pooling() const noexcept { return pooling_; }
  /// Of the weights, to tell models apart.
  std::uint32_t checksum() const noexcept {
    return crc32c(std::as_bytes(std::span<const float>(weights_)));
  }

  /// Ids of a text with those that begin and end it, cut to longest().
  Tokens tokens(std::string_view text) const {
    return tokenizer_.encode(text, {.special_tokens = true, .longest = longest_}).ids;
  }

  /// y(s, ·) = the vector of text s.   y [texts, width];  no text is empty or longer than longest()
  void encode(RaggedView<std::int32_t> texts, Matrix<float> y, Arena& arena) const {
    cpu::Context ctx{arena};
    ctx.packed = &packed_;
    const Matrix<float> states = MaskedLm<>::serve(config_, params_, texts, {}, ctx);
    SentencePooling::Cache<float> cache;
    copy(ctx,
         SentencePooling::forward<float>(pooling_, MatrixArg<float>(states), texts.offsets, cache,
                                         ctx),
         y, Write::assign);
  }

  /// The same of any texts, in packed batches of texts of like length. A vector depends on its own
  /// text alone, up to the rounding of sums.
  ///
  /// Shapes  y [texts, width]
  template <Executor E = Serial>
  void encode_all(std::span<const Tokens> texts, Matrix<float> y, E&& executor = {}) const {
    std::vector<std::size_t> order(texts.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return texts[a].size() < texts[b].size();
    });
    std::vector<std::size_t> begins{0};  // of batches, in `order`
    std::size_t tokens = 0;
    for (std::size_t i = 0; i < order.size(); ++i) {
      const std::size_t own = texts[order[i]].size();
      if (own == 0) {
        raise(DataError("text " + std::to_string(order[i]) + " has no token"));
      }
      if (tokens > 0 && tokens + own > batch_tokens) {
        begins.push_back(i);
        tokens = 0;
      }
      tokens += own;
    }
    begins.push_back(order.size());
    ScratchPool<Scratch> pool;
    executor.for_each(static_cast<Index>(begins.size()) - 1, [&](Index batch) {
      const auto scratch = pool.take();
      const std::size_t first = begins[static_cast<std::size_t>(batch)],
                        last = begins[static_cast<std::size_t>(batch) + 1];
      scratch->texts.clear();
      scratch->arena.reset();
      for (std::size_t i = first; i < last; ++i) { scratch->texts.push_back(texts[order[i]]); }
      const Matrix<float> rows =
          scratch->arena.take<float>(Shape<2>{static_cast<Index>(last - first), width()});
      encode(scratch->texts, rows, scratch->arena);
      for (std::size_t i = first; i < last; ++i) {
        const Vector<float> row = rows.row(static_cast<Index>(i - first));
        std::copy(row.begin(), row.end(), y.row(static_cast<Index>(order[i])).begin());
      }
    });
  }

private:
  /// Tokens of a batch: what they have in a block stays in the cache. Titles a second of MiniLM on a
  /// Zen 4, two runs: 265, 260 with 120; 270, 263 with 240; 266, 255 with 480; 259, 259 with 960.
  static constexpr std::size_t batch_tokens = 240;

  struct Scratch {
    Arena arena;
    Ragged<std::int32_t> texts;
  };

  SentenceEncoder(const MaskedLm<>::Config& config, text::TextTokenizer tokenizer)
      : config_(config), tokenizer_(std::move(tokenizer)) {}

  /// -> what is wrong, or empty
  std::string set_longest(Index asked) {
    if (tokenizer_.vocabulary_size() > config_.vocabulary) {
      return "tokenizer.json has ids up to " + std::to_string(tokenizer_.vocabulary_size() - 1) +
             ", config.json a vocabulary of " + std::to_string(config_.vocabulary);
    }
    if (asked > config_.positions) {
      return "expected texts of at most " + std::to_string(config_.positions) +
             " tokens, which is the positions that the model has, found " + std::to_string(asked);
    }
    longest_ = asked > 0 ? asked : tokenizer_.longest();
    longest_ = longest_ > 0 ? std::min(longest_, config_.positions) : config_.positions;
    return {};
  }
  void bind_weights() {
    params_ = bind<MaskedLm<>>(config_, weights_.data());
    for (const auto& block : params_.blocks) {
      const MatrixArg<float> qkv = block.attention.qkv.weight;
      for (const MatrixArg<float> w :
           {qkv.slice(0, config_.width), qkv.slice(config_.width, 2 * config_.width),
            MatrixArg<float>(block.attention.out.weight), MatrixArg<float>(block.up.weight),
            MatrixArg<float>(block.down.weight)}) {
        packed_.add(w);
      }
    }
  }

  MaskedLm<>::Config config_;
  text::TextTokenizer tokenizer_;
  SentencePooling::Config pooling_;
  Index longest_ = 0;
  std::vector<float> weights_;
  MaskedLm<>::Params<float> params_;
  cpu::PackedMatrices packed_;
};

}  // namespace simgr::SIMGR_ABI::io
