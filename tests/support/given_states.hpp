// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simgr/composition.hpp>
#include <simgr/encoder/semantic_embedding.hpp>

namespace simgr_test {

using namespace simgr;

/// An encoder whose states are its parameters, over a table of digits: what comes after the
/// encoder, with nothing before it. Histories have one item each.
struct GivenStates {
  using In = flow::History;
  using Out = flow::TokenStates;
  struct EmbeddingType : SemanticEmbedding {
    static Index tokens_per_item(const SemanticEmbedding::Shape&) noexcept { return 1; }
  };
  struct Config {
    Index width = 0, rows = 0;
    EmbeddingType::Config embedding{};
    CatalogueSizes catalogue{};

    template <class F, class C>
    static void for_each_field(C&, F&&) {}
    EmbeddingType::Shape embedding_shape() const { return {width, catalogue, embedding}; }
  };
  static std::string check(const Config&) { return {}; }

  template <class T, class S = Host>
  struct Params {
    EmbeddingType::Params<T, S> embedding;
    Matrix<T, S> states;
  };
  template <class T, class S = Host>
  struct Cache {
    Offsets offsets;
  };
  template <class F, class... P>
  static void for_each_parameter(const Config& c, F&& f, P&... p) {
    EmbeddingType::for_each_parameter(c.embedding_shape(), f, p.embedding...);
    f(Spec<2>{"states", {c.rows, c.width}, Init::normal(1)}, p.states...);
  }

  template <class T, class S, class Ctx>
  static Matrix<T, S> forward(const Config& c, const Params<T, S>& p, MatrixArg<T, S>,
                              const ItemsView<S>&, RaggedView<ItemId> history, Cache<T, S>& cache,
                              Ctx& ctx) {
    cache.offsets = history.offsets;
    Matrix<T, S> states = ctx.template take<T>(c.rows, c.width);
    copy(ctx, p.states, states, Write::assign);
    return states;
  }
  template <class T, class S, class Ctx>
  static void backward(const Config&, const Params<T, S>&, const Params<T, S>& grad,
                       MatrixArg<T, S> dstates, Matrix<T, S>, const Cache<T, S>&, Ctx& ctx) {
    copy(ctx, dstates, grad.states, Write::add);
  }
};

}  // namespace simgr_test
