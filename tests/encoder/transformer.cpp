// SPDX-License-Identifier: Apache-2.0
#include <simgr/encoder/transformer.hpp>

#include <algorithm>

#include <support/gradient_check.hpp>

#include <simgr/encoder/item_embedding.hpp>
#include <simgr/encoder/semantic_embedding.hpp>

using namespace simgr;

namespace {

const std::vector<std::int32_t> digits{0, 4, 1, 5, 2, 6, 3, 4, 0, 5, 1, 6, 2, 4};

/// Seven items of two digits; what an encoder makes of histories, one row for each token.
template <class E>
struct Encoding {
  typename E::Config config;
  ParameterTable table;
  std::vector<double> weights;
  typename E::template Params<double> params;
  ItemsView<> items{7, {digits.data(), {7, 2}}};

  Encoding() {
    config.width = 6;
    config.layers = 2;
    config.heads = 2;
    config.inner = 5;
    config.max_length = 6;
    config.catalogue = {7, 2, 7};
    table = describe<E>(config);
    weights = simgr_test::random_values(table.block_size, 1, 0.5);
    params = bind<E>(config, weights.data());
  }
  std::vector<double> states(const Ragged<ItemId>& histories, bool training = false) const {
    Arena arena;
    cpu::Context ctx{arena, training, 11, 2};
    typename E::EmbeddingType::template Cache<double> rows_cache;
    const Matrix<const double> rows =
        E::EmbeddingType::rows(config.embedding_shape(), params.embedding, items, rows_cache, ctx);
    typename E::template Cache<double> cache;
    const Matrix<double> y = E::forward(config, params, rows, items, histories.view(), cache, ctx);
    return {y.begin(), y.end()};
  }
  /// Numbers that one item of a history becomes.
  Index per_item() const {
    return config.width * E::EmbeddingType::tokens_per_item(config.embedding_shape());
  }
};

Ragged<ItemId> ragged(const std::vector<std::vector<ItemId>>& histories) {
  Ragged<ItemId> out;
  for (const auto& history : histories) { out.push_back(history); }
  return out;
}

double worst(const std::vector<double>& a, const std::vector<double>& b) {
  REQUIRE(a.size() == b.size());
  double gap = 0;
  for (std::size_t i = 0; i < a.size(); ++i) { gap = std::max(gap, std::abs(a[i] - b[i])); }
  return gap;
}

const std::vector<ItemId> first{3, 1, 4}, second{5}, third{2, 6, 5, 3, 5};

}  // namespace

TEST_CASE_TEMPLATE(
    "concatenating batches concatenates states, and permuting histories permutes them", E,
    TransformerEncoder<ItemEmbedding, Causal>, TransformerEncoder<SemanticEmbedding, Causal>,
    TransformerEncoder<ItemEmbedding, Bidirectional, PostNorm>) {
  const Encoding<E> encoding;
  std::vector<std::vector<double>> alone;
  for (const auto& history : {first, second, third}) {
    alone.push_back(encoding.states(ragged({history})));
  }
  const auto joined = [&](const std::vector<std::size_t>& order) {
    std::vector<double> all;
    for (const std::size_t s : order) { all.insert(all.end(), alone[s].begin(), alone[s].end()); }
    return all;
  };
  CHECK(worst(encoding.states(ragged({first, second, third})), joined({0, 1, 2})) < 1e-13);
  CHECK(worst(encoding.states(ragged({third, first, second})), joined({2, 0, 1})) < 1e-13);
}

TEST_CASE_TEMPLATE("causal states ignore the future", E, TransformerEncoder<ItemEmbedding, Causal>,
                   TransformerEncoder<SemanticEmbedding, Causal, QueryNorm>) {
  const Encoding<E> encoding;
  const std::vector<double> whole = encoding.states(ragged({third}));
  std::vector<ItemId> changed = third;
  changed[3] = 0;
  changed[4] = 1;
  const std::vector<double> other = encoding.states(ragged({changed}));
  const auto seen = static_cast<std::ptrdiff_t>(3 * encoding.per_item());
  CHECK(worst({whole.begin(), whole.begin() + seen}, {other.begin(), other.begin() + seen}) == 0);
  CHECK(worst({whole.begin() + seen, whole.end()}, {other.begin() + seen, other.end()}) > 1e-3);
  const std::vector<double> prefix = encoding.states(ragged({{2, 6, 5}}));
  CHECK(worst(prefix, {whole.begin(), whole.begin() + seen}) < 1e-13);
}

TEST_CASE("bidirectional states see the future") {
  const Encoding<TransformerEncoder<ItemEmbedding, Bidirectional>> encoding;
  const std::vector<double> whole = encoding.states(ragged({{2, 6, 5}}));
  const std::vector<double> other = encoding.states(ragged({{2, 6, 0}}));
  CHECK(worst({whole.begin(), whole.begin() + 6}, {other.begin(), other.begin() + 6}) > 1e-3);
}

TEST_CASE("the same item at another place is another state") {
  const Encoding<TransformerEncoder<ItemEmbedding, Causal>> encoding;
  const std::vector<double> states = encoding.states(ragged({{5, 5}}));
  CHECK(worst({states.begin(), states.begin() + 6}, {states.begin() + 6, states.end()}) > 1e-3);
}

TEST_CASE_TEMPLATE("padding on the left moves a history to the last positions", E,
                   TransformerEncoder<ItemEmbedding, Causal>,
                   TransformerEncoder<ItemEmbedding, Bidirectional, PostNorm>,
                   TransformerEncoder<SemanticEmbedding, Causal>) {
  Encoding<E> encoding;
  const Index places = encoding.config.positions(), width = encoding.config.width,
              per_item = encoding.per_item() / width;
  for (const auto& history : {first, second, third, {0, 1, 2, 3, 4, 5}}) {
    encoding.config.left_padded = true;
    const std::vector<double> padded = encoding.states(ragged({history, second}));
    // The table turned, so that the positions that history then had come first.
    Encoding<E> turned;
    const Index unused = (6 - static_cast<Index>(history.size())) * per_item;
    double* const position = turned.params.position.data();
    std::rotate(position, position + unused * width, position + places * width);
    const std::vector<double> expected = turned.states(ragged({history}));
    CHECK(worst({padded.begin(), padded.end() - per_item * width}, expected) < 1e-13);
    encoding.config.left_padded = false;
    const double gap = worst(encoding.states(ragged({history})), expected);
    CHECK((unused == 0 ? gap < 1e-13 : gap > 1e-3));
  }
}

TEST_CASE_TEMPLATE("what blocks add may be dropped otherwise than embeddings are", E,
                   TransformerEncoder<ItemEmbedding, Causal>,
                   TransformerEncoder<ItemEmbedding, Causal, PostNorm>) {
  Encoding<E> encoding;
  const auto trained = [&](double dropout, double residual) {
    encoding.config.dropout = dropout;
    encoding.config.residual_dropout = residual;
    encoding.config.attention_dropout = 0;
    return encoding.states(ragged({first, third}), true);
  };
  const auto none = trained(0, -1);
  CHECK(worst(none, encoding.states(ragged({first, third}))) < 1e-12);
  CHECK(worst(none, trained(0, 0.4)) > 0.01);
  CHECK(worst(none, trained(0.4, 0)) > 0.01);
  CHECK(trained(0.4, -1) == trained(0.4, 0.4));
  CHECK(worst(trained(0.4, 0), trained(0.4, 0.4)) > 0.01);
}
