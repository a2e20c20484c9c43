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
#include <simgr/io/crc32c.hpp>
#include <simgr/io/model_config.hpp>
#include <simgr/io/named_tensors.hpp>
#include <simgr/io/sentence_folder.hpp>
#include <simgr/io/text_backbone.hpp>
#include <simgr/io/text_tokenizer.hpp>
#include <simgr/nn/linear.hpp>
#include <simgr/nn/sentence_pooling.hpp>
#include <simgr/scratch_pool.hpp>

namespace simgr::SIMGR_ABI::io {

struct SentenceEncoderOptions {
  std::optional<Pooling> pooling{};  // none: what the folder says, else the last of a decoder and
                                     // the mean of all others
  bool normalised = true;            // vectors of length 1
  Index longest = 0;  // tokens of a text, longer ones are cut; 0: what sentence_bert_config.json
                      // says, or tokenizer.json truncates to, else the positions of the model
};

/// Vectors of texts from a published folder: tokenizer.json, config.json and weights of a BERT such as
/// all-MiniLM-L6-v2, of a decoder such as Qwen3-Embedding, or of T5 such as sentence-t5.
///
///   text ─► tokens ─► TextBackbone ─► SentencePooling ─► (Linear) ─► vector
///
/// Const functions may run at the same time.
///
/// Cost    the weights in memory, those of a BERT twice: products read a packed copy
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
    auto tokenizer = try_read_text_tokenizer(beside("tokenizer.json"));
    if (!tokenizer) {
      return tokenizer.error();
    }
    const auto said = try_read_sentence_folder(path);
    if (!said) {
      return said.error();
    }
    const LanguageModelFacts& model = facts.value();
    Index longest = options.longest > 0        ? options.longest
                    : said.value().longest > 0 ? said.value().longest
                                               : tokenizer->longest();
    if (const std::string wrong = check(model, *tokenizer, options.longest); !wrong.empty()) {
      return ConfigError(wrong, {.file = path});
    }
    if (longest == 0) {
      longest = model.positions > 0 ? model.positions : otherwise_longest;
    }
    const auto folder = ModelFolder::try_open(path);
    if (!folder) {
      return folder.error();
    }
    auto backbone = TextBackbone::try_load(folder.value(), model);
    if (!backbone) {
      return backbone.error();
    }
    SentenceEncoder encoder(std::move(*backbone), std::move(*tokenizer));
    encoder.pooling_ = {options.pooling.value_or(said.value().pooling.value_or(
                            model.causal ? Pooling::last : Pooling::mean)),
                        options.normalised};
    encoder.longest_ = model.positions > 0 ? std::min(longest, model.positions) : longest;
    if (Failure failure = encoder.read_dense(folder.value(), said.value().dense)) {
      return *std::move(failure);
    }
    encoder.backbone_.pack_into(encoder.packed_);
    return encoder;
  }
  static SentenceEncoder open(const std::string& path, const SentenceEncoderOptions& options = {}) {
    return try_open(path, options).value_or_raise();
  }

  Index width() const noexcept { return has_dense() ? dense_config_.out : backbone_.width(); }
  Index longest() const noexcept { return longest_; }
  const SentencePooling::Config& pooling() const noexcept { return pooling_; }
  /// Of the weights, to tell models apart.
  std::uint32_t checksum() const noexcept {
    return crc32c(std::as_bytes(std::span<const float>(dense_)),
                  crc32c(std::as_bytes(backbone_.weights())));
  }

  /// Ids of a text with those that begin and end it, cut to longest().
  Tokens tokens(std::string_view text) const {
    return tokenizer_.encode(text, {.special_tokens = true, .longest = longest_}).ids;
  }

  /// y(s, ·) = the vector of text s.   y [texts, width];  no text is empty or longer than longest()
  void encode(RaggedView<std::int32_t> texts, Matrix<float> y, Arena& arena) const {
    cpu::Context ctx{arena};
    ctx.packed = &packed_;
    const SentencePooling::Config own{pooling_.pooling, pooling_.normalised && !has_dense()};
    SentencePooling::Cache<float> cache;
    Matrix<float> x;
    if (own.pooling == Pooling::last) {
      x = pooled(own, backbone_.last_states(texts, ctx), cache, ctx);
    } else {
      x = SentencePooling::forward<float>(own, MatrixArg<float>(backbone_.states(texts, ctx)),
                                          texts.offsets, cache, ctx);
    }
    if (has_dense()) {
      Linear::Cache<float> of_map;
      x = pooled({Pooling::first, pooling_.normalised},
                 Linear::forward(dense_config_, dense_map_, MatrixArg<float>(x), of_map, ctx),
                 cache, ctx);
    }
    copy(ctx, x, y, Write::assign);
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

  /// Where a text is longer than nothing says: what T5 was trained on.
  static constexpr Index otherwise_longest = 512;

  SentenceEncoder(TextBackbone backbone, text::TextTokenizer tokenizer)
      : backbone_(std::move(backbone)), tokenizer_(std::move(tokenizer)) {}

  bool has_dense() const noexcept { return !dense_.empty(); }

  /// -> what is wrong, or empty
  static std::string check(const LanguageModelFacts& model, const text::TextTokenizer& tokenizer,
                           Index longest) {
    if (tokenizer.vocabulary_size() > model.vocabulary) {
      return "tokenizer.json has ids up to " + std::to_string(tokenizer.vocabulary_size() - 1) +
             ", config.json a vocabulary of " + std::to_string(model.vocabulary);
    }
    if (model.positions > 0 && longest > model.positions) {
      return "expected texts of at most " + std::to_string(model.positions) +
             " tokens, which is the positions that the model has, found " + std::to_string(longest);
    }
    return {};
  }

  /// The map behind pooling: in a folder of its own, or in the file of the model.
  Failure read_dense(const ModelFolder& model, const std::string& path) {
    std::optional<ModelFolder> own;
    if (!path.empty()) {
      if (Failure failure = detail::check_dense_config(path)) {
        return failure;
      }
      auto opened = ModelFolder::try_open(path);
      if (!opened) {
        return opened.error();
      }
      own = std::move(*opened);
    }
    const ModelFolder& folder = own ? *own : model;
    const TensorView* weight = folder.find("linear.weight");
    if (weight == nullptr && !own) {
      return std::nullopt;
    }
    const bool matrix = weight != nullptr && weight->shape.size() == 2 && weight->shape[0] > 0;
    dense_config_ = {backbone_.width(), matrix ? weight->shape[0] : 1,
                     folder.find("linear.bias") != nullptr};
    const ParameterTable table = describe<Linear>(dense_config_);
    dense_.resize(static_cast<std::size_t>(table.block_size));
    dense_map_ = bind<Linear>(dense_config_, dense_.data());
    std::vector<NamedTensor<float>> wanted;
    for (const TensorEntry& tensor : table.tensors) {
      wanted.push_back({"linear." + tensor.name, tensor.shape, dense_.data() + tensor.offset});
    }
    return try_load_named(folder, std::span<const NamedTensor<float>>(wanted), own.has_value(),
                          "not match a map of the vectors");
  }

  /// Vectors as texts of one token: what is left of pooling is the norm.
  static Matrix<float> pooled(const SentencePooling::Config& c, Matrix<float> x,
                              SentencePooling::Cache<float>& cache, cpu::Context& ctx) {
    const Vector<Index> offsets = ctx.take<Index>(x.rows() + 1);
    std::iota(offsets.begin(), offsets.end(), Index{0});
    return SentencePooling::forward<float>(c, MatrixArg<float>(x), Offsets(offsets.span()), cache,
                                           ctx);
  }

  TextBackbone backbone_;
  text::TextTokenizer tokenizer_;
  SentencePooling::Config pooling_;
  Index longest_ = 0;
  Linear::Config dense_config_;
  std::vector<float> dense_;
  Linear::Params<float> dense_map_;
  cpu::PackedMatrices packed_;
};

}  // namespace simgr::SIMGR_ABI::io
