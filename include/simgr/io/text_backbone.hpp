// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <simgr/core/ragged.hpp>
#include <simgr/cpu/cpu.hpp>
#include <simgr/cpu/packed_matrices.hpp>
#include <simgr/encoder/causal_lm.hpp>
#include <simgr/encoder/item_embedding.hpp>
#include <simgr/encoder/masked_lm.hpp>
#include <simgr/encoder/transformer.hpp>
#include <simgr/io/backbone_form.hpp>
#include <simgr/io/model_weights.hpp>
#include <simgr/nn/relative_stack.hpp>
#include <simgr/nn/sentence_pooling.hpp>

namespace simgr::SIMGR_ABI::io {

namespace detail {

/// The encoder of T5 over tokens of texts.
template <class Net>
struct RelativeReader {
  using Stack = RelativeStack<Bidirectional, Net>;

  struct Config {
    Index vocabulary = 0;
    typename Stack::Config stack{};
  };
  template <class T, class S = Host>
  struct Params {
    Matrix<T, S> table;
    typename Stack::template Params<T, S> stack;
  };
  template <class Walk, class... P>
  static void for_each_parameter(const Config& c, Walk&& f, P&... p) {
    f(Spec<2>{"embedding.table", {c.vocabulary, c.stack.width}, Init::normal(1)}, p.table...);
    Stack::for_each_parameter(c.stack, under("encoder", f), p.stack...);
  }
};

template <class M>
struct ServedModel {
  typename M::Config config{};
  std::vector<float> weights{};
  typename M::template Params<float> params{};
};

using RotaryTexts = CausalLm<ItemEmbedding>;
using PlacedTexts = TransformerEncoder<ItemEmbedding, Causal>;

/// The numbers of a model as config.json says them; without dropout, which it is served without.
///
/// Errors  ConfigError: a family or an activation that M does not compute with
template <class M>
Failure text_config(const LanguageModelFacts& facts, typename M::Config& c) {
  if constexpr (requires { c.stack; }) {
    const bool gated = std::is_same_v<M, RelativeReader<FeedForward<GeluTanh, Gated>>>;
    constexpr LanguageFamily families[] = {LanguageFamily::t5};
    // No backward will ask for caches: of the blocks, what each read alone is kept.
    c = {facts.vocabulary,
         {facts.width, facts.layers, facts.heads, facts.head_width, facts.inner, facts.buckets,
          facts.farthest, 0, facts.epsilon, 1, true}};
    return require_family(facts, families,
                          gated ? LanguageActivation::gelu_tanh : LanguageActivation::relu);
  } else {
    Failure failure = BackboneForm<M>::configure(facts, c);
    if constexpr (requires { c.catalogue; }) {
      c.catalogue.items = facts.vocabulary;
      c.max_length = facts.positions;
    }
    return failure;
  }
}

}  // namespace detail

/// A published model as what makes states of the tokens of texts: BERT, GPT-2, Llama, Qwen2, Qwen3,
/// and the encoder of T5. Const functions may run at the same time.
class TextBackbone {
public:
  /// Errors  those of try_load_parameters; ConfigError: an activation that the family is not computed
  ///         with here
  static Result<TextBackbone> try_load(const ModelFolder& folder, const LanguageModelFacts& facts) {
    using enum LanguageFamily;
    TextBackbone backbone(facts.width);
    switch (facts.family) {
    case bert:
      backbone.model_ = detail::ServedModel<MaskedLm<>>{};
      break;
    case gpt2:
      backbone.model_ = detail::ServedModel<detail::PlacedTexts>{};
      break;
    case t5:
      if (facts.gated) {
        backbone.model_ = detail::ServedModel<GatedReader>{};
      } else {
        backbone.model_ = detail::ServedModel<PlainReader>{};
      }
      break;
    default:
      backbone.model_ = detail::ServedModel<detail::RotaryTexts>{};
    }
    Failure failure =
        std::visit([&](auto& model) { return load(folder, facts, model); }, backbone.model_);
    if (failure) {
      return *std::move(failure);
    }
    return backbone;
  }

  Index width() const noexcept { return width_; }
  std::span<const float> weights() const noexcept {
    return std::visit([](const auto& model) { return std::span<const float>(model.weights); },
                      model_);
  }
  /// Copies of weights for a context that products may read instead. The weights stay in place.
  void pack_into(cpu::PackedMatrices& packed) const {
    const auto* bert = std::get_if<detail::ServedModel<MaskedLm<>>>(&model_);
    for (std::size_t i = 0; bert != nullptr && i < bert->params.blocks.size(); ++i) {
      const auto& block = bert->params.blocks[i];
      const MatrixArg<float> qkv = block.mixer.qkv.weight;
      for (const MatrixArg<float> w :
           {qkv.slice(0, width_), qkv.slice(width_, 2 * width_),
            MatrixArg<float>(block.mixer.out.weight), MatrixArg<float>(block.up.weight),
            MatrixArg<float>(block.down.weight)}) {
        packed.add(w);
      }
    }
  }

  /// The states of all tokens.   texts packed -> [tokens, width]
  Matrix<float> states(RaggedView<std::int32_t> texts, cpu::Context& ctx) const {
    return std::visit([&](const auto& model) { return states_of(model, texts, ctx); }, model_);
  }
  /// Those of each text's last token.   texts packed -> [texts, width]
  Matrix<float> last_states(RaggedView<std::int32_t> texts, cpu::Context& ctx) const {
    return std::visit([&](const auto& model) { return last_states_of(model, texts, ctx); }, model_);
  }

private:
  using PlainReader = detail::RelativeReader<FeedForward<Relu>>;
  using GatedReader = detail::RelativeReader<FeedForward<GeluTanh, Gated>>;

  explicit TextBackbone(Index width) : width_(width) {}

  template <class M>
  static Failure load(const ModelFolder& folder, const LanguageModelFacts& facts,
                      detail::ServedModel<M>& model) {
    if (Failure failure = detail::text_config<M>(facts, model.config)) {
      return failure;
    }
    ParameterTable table = describe<M>(model.config);
    for (TensorEntry& tensor : table.tensors) {
      if (tensor.name == "embedding.items") {  // items are tokens here
        tensor.name = "embedding.table";
      }
    }
    model.weights.resize(static_cast<std::size_t>(table.block_size));
    model.params = bind<M>(model.config, model.weights.data());
    return try_load_parameters(folder, facts, table, std::span<float>(model.weights));
  }

  static Matrix<float> states_of(const detail::ServedModel<MaskedLm<>>& m,
                                 RaggedView<std::int32_t> texts, cpu::Context& ctx) {
    return MaskedLm<>::serve(m.config, m.params, texts, {}, ctx);
  }
  template <class Net>
  static Matrix<float> states_of(const detail::ServedModel<detail::RelativeReader<Net>>& m,
                                 RaggedView<std::int32_t> texts, cpu::Context& ctx) {
    using Stack = typename detail::RelativeReader<Net>::Stack;
    const Matrix<float> x = ctx.take<float>(texts.tokens(), m.config.stack.width);
    gather_rows(ctx, m.params.table, texts.values, x);
    typename Stack::template Cache<float> cache;
    return Stack::forward(m.config.stack, m.params.stack, x, texts.offsets, {}, cache, ctx);
  }
  template <class E>
  static Matrix<float> states_of(const detail::ServedModel<E>& m, RaggedView<std::int32_t> texts,
                                 cpu::Context& ctx) requires requires {
    typename E::EmbeddingType;
  }
  {
    typename E::template Cache<float> cache;
    return E::serve(m.config, m.params, MatrixArg<float>(m.params.embedding.table), ItemsView<>{},
                    texts, cache, ctx);
  }

  template <class M>
  static Matrix<float> last_states_of(const detail::ServedModel<M>& m,
                                      RaggedView<std::int32_t> texts, cpu::Context& ctx) {
    if constexpr (requires { typename M::EmbeddingType; }) {
      typename M::template Cache<float> cache;
      return M::forward_last(m.config, m.params, MatrixArg<float>(m.params.embedding.table),
                             ItemsView<>{}, texts, cache, ctx);
    } else {
      SentencePooling::Cache<float> cache;
      return SentencePooling::forward<float>({Pooling::last, false},
                                             MatrixArg<float>(states_of(m, texts, ctx)),
                                             texts.offsets, cache, ctx);
    }
  }

  Index width_;
  std::variant<detail::ServedModel<MaskedLm<>>, detail::ServedModel<detail::RotaryTexts>,
               detail::ServedModel<detail::PlacedTexts>, detail::ServedModel<PlainReader>,
               detail::ServedModel<GatedReader>>
      model_;
};

}  // namespace simgr::SIMGR_ABI::io
