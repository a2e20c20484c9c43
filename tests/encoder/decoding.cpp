// SPDX-License-Identifier: Apache-2.0
#include <simgr/encoder/transformer.hpp>

#include <algorithm>

#include <support/gradient_check.hpp>

#include <simgr/encoder/causal_lm.hpp>
#include <simgr/encoder/semantic_embedding.hpp>

using namespace simgr;

namespace {

/// Nine items of three digits over 4 + 3 + 5 rows.
struct SpelledItems {
  std::vector<std::int32_t> digit_rows;
  SpelledItems() {
    Rng rng(5, 5);
    for (int item = 0; item < 9; ++item) {
      for (const auto& [first, codes] : {std::pair{0, 4}, std::pair{4, 3}, std::pair{7, 5}}) {
        digit_rows.push_back(static_cast<std::int32_t>(first + rng.below(codes)));
      }
    }
  }
  ItemsView<> view() const { return {9, {digit_rows.data(), {9, 3}}}; }
};

template <class E>
constexpr bool is_rotary = requires(typename E::Config c) {
  c.head_norm;
};

template <class E>
typename E::Config spelling_config() {
  typename E::Config c;
  c.width = 6;
  c.layers = 2;
  c.heads = 2;
  c.inner = 5;
  c.max_length = 4;
  c.dropout = .1;
  c.attention_dropout = .2;
  if constexpr (!is_rotary<E>) {
    c.scale_embedding = true;
  } else {
    c.kv_heads = 1;
    c.head_width = 4;
    c.biased = c.head_norm = true;
  }
  c.catalogue = {9, 3, 12};
  return c;
}

Ragged<ItemId> spelled(const std::vector<std::vector<ItemId>>& rows) {
  Ragged<ItemId> lists;
  for (const auto& row : rows) { lists.push_back(row); }
  return lists;
}

/// Histories, one of the greatest length and one of length 1, and what comes after every item.
const auto taught = spelled({{3, 1, 4, 2}, {5}, {2, 6, 8}});
const std::vector<ItemId> next_items{1, 4, 2, 7, 0, 6, 8, 3};

template <class E, class T>
struct Weights {
  typename E::Config config = spelling_config<E>();
  ParameterTable table = describe<E>(config);
  std::vector<T> values = [&] {
    std::vector<T> drawn;
    for (const double value : simgr_test::random_values(table.block_size, 1, 0.5)) {
      drawn.push_back(static_cast<T>(value));
    }
    return drawn;
  }();
  typename E::template Params<T> params = bind<E>(config, values.data());
};

using PreNormed = TransformerEncoder<SemanticEmbedding, Causal>;
using PostNormed = TransformerEncoder<SemanticEmbedding, Causal, PostNorm, Relu>;
using QueryNormed = TransformerEncoder<SemanticEmbedding, Causal, QueryNorm>;
using Rotary = CausalLm<SemanticEmbedding>;

}  // namespace

TEST_CASE("Teacher forcing reads what forward reads, and no digit before its time") {
  const SpelledItems items;
  Weights<PreNormed, double> w;
  Arena arena;
  cpu::Context ctx{arena};
  PreNormed::Cache<double> cache;
  const auto states = PreNormed::forward_targets(w.config, w.params, w.params.embedding.table,
                                                 items.view(), taught, next_items, cache, ctx);
  REQUIRE(states.shape() == Shape<2>{8 * 3, 6});
  Index target = 0;
  for (Index s = 0; s < taught.sequences(); ++s) {
    for (std::size_t t = 1; t <= taught[s].size(); ++t, ++target) {
      // By definition: the history up to here and the digits before each one.
      const Index length = static_cast<Index>(t) * 3;
      Ragged<ItemId> longer;
      std::vector<ItemId> read(taught[s].begin(),
                               taught[s].begin() + static_cast<std::ptrdiff_t>(t));
      read.push_back(next_items[static_cast<std::size_t>(target)]);
      longer.push_back(read);
      auto config = w.config;
      config.max_length = 5;  // for the digit that teacher forcing leaves out
      std::vector<double> memory(static_cast<std::size_t>(describe<PreNormed>(config).block_size));
      auto params = bind<PreNormed>(config, memory.data());
      params.embedding = w.params.embedding;
      params.blocks = w.params.blocks;
      params.final_norm = w.params.final_norm;
      copy(ctx, w.params.position, params.position.slice(0, w.params.position.rows()),
           Write::assign);
      PreNormed::Cache<double> alone;
      const auto all = PreNormed::forward(config, params, params.embedding.table, items.view(),
                                          longer, alone, ctx);
      for (Index j = 0; j < 3; ++j) {
        for (Index x = 0; x < 6; ++x) {
          CHECK(std::abs(states(target * 3 + j, x) - all(length - 1 + j, x)) < 1e-12);
        }
      }
    }
  }
}

TEST_CASE_TEMPLATE("Gradients through teacher forcing", E, PreNormed, PostNormed, QueryNormed,
                   Rotary) {
  const SpelledItems items;
  const auto check = [&](const typename E::Config& config) {
    // The digit table is a parameter, so the input of the check is empty.
    simgr_test::check_gradients<E>(
        config, 0, 6,
        [&](const auto& p, auto, auto& cache, auto& ctx) {
          return E::forward_targets(config, p, p.embedding.table, items.view(), taught, next_items,
                                    cache, ctx);
        },
        [&](const auto& p, const auto& g, auto dy, const auto& cache, auto& ctx) {
          E::backward_targets(config, p, g, dy, g.embedding.table, cache, ctx);
          return Matrix<double>{};
        },
        1e-7);
  };
  auto config = spelling_config<E>();
  check(config);
  if constexpr (!is_rotary<E>) {
    config.left_padded = true;
    check(config);
  }
}

TEST_CASE_TEMPLATE("Decoding step by step gives what one pass gives, for random trees", E,
                   PreNormed, PostNormed, QueryNormed, Rotary) {
  const auto check = [&]<class T>(T tolerance) {
    const SpelledItems items;
    Weights<E, T> w;
    Arena arena;
    cpu::Context ctx{arena};
    typename E::template State<T> state;
    for (const std::uint64_t seed : {1, 2}) {  // the second time the state is not new
      Rng rng(seed, 2);
      const Matrix<const T> rows = w.params.embedding.table;
      std::vector<std::vector<std::int32_t>> tokens;  // of the path of each node
      for (Index s = 0; s < taught.sequences(); ++s) {
        tokens.emplace_back();
        for (const ItemId item : taught[s]) {
          for (Index l = 0; l < 3; ++l) {
            tokens.back().push_back(items.view().digit_rows(item, l));
          }
        }
      }
      Matrix<T> states = E::begin(w.config, w.params, rows, items.view(), taught, state, ctx);
      for (Index level = 0;; ++level) {
        REQUIRE(states.rows() == static_cast<Index>(tokens.size()));
        for (Index n = 0; n < states.rows(); ++n) {
          // The same tokens as a history of one-digit items.
          auto config = w.config;
          config.catalogue = {12, 1, 12};
          config.max_length = w.config.positions();
          std::vector<std::int32_t> identity(12);
          for (std::int32_t i = 0; i < 12; ++i) { identity[static_cast<std::size_t>(i)] = i; }
          Ragged<ItemId> path;
          path.push_back(tokens[static_cast<std::size_t>(n)]);
          typename E::template Cache<T> cache;
          const Matrix<T> all = E::forward(config, w.params, rows, {12, {identity.data(), {12, 1}}},
                                           path, cache, ctx);
          for (Index x = 0; x < 6; ++x) {
            CHECK(std::abs(states(n, x) - all(all.rows() - 1, x)) < tolerance);
          }
        }
        if (level == 2) {
          break;
        }
        std::vector<std::int32_t> parents, chosen;
        std::vector<std::vector<std::int32_t>> longer;
        for (std::size_t n = 0; n < tokens.size(); ++n) {
          for (Index child = level == 0 && n == 1 ? 0 : rng.below(4); child >= 0; --child) {
            parents.push_back(static_cast<std::int32_t>(n));
            chosen.push_back(static_cast<std::int32_t>(rng.below(12)));
            longer.push_back(tokens[n]);
            longer.back().push_back(chosen.back());
          }
        }
        tokens = longer;
        states = E::step(w.config, w.params, rows, level + 1, parents, chosen, state, ctx);
      }
    }
  };
  check(1e-12);
  check(1e-5f);
}

TEST_CASE("Padded on the left, a history ends at one position and its next item follows it") {
  const SpelledItems items;
  Arena arena;
  cpu::Context ctx{arena};
  for (Index s = 0; s < taught.sequences(); ++s) {
    const auto first = static_cast<std::ptrdiff_t>(taught.offsets[static_cast<std::size_t>(s)]);
    const std::vector<ItemId> history(taught[s].begin(), taught[s].end()),
        targets(next_items.begin() + first,
                next_items.begin() + first + static_cast<std::ptrdiff_t>(history.size()));
    /// Of teacher forcing, then of two steps.
    const auto states = [&](const Weights<PreNormed, double>& w) {
      const Matrix<const double> rows = w.params.embedding.table;
      const Ragged<ItemId> alone = spelled({history});
      std::vector<double> all;
      const auto add = [&](const Matrix<double>& y) { all.insert(all.end(), y.begin(), y.end()); };
      PreNormed::Cache<double> cache;
      add(PreNormed::forward_targets(w.config, w.params, rows, items.view(), alone, targets, cache,
                                     ctx));
      PreNormed::State<double> state;
      add(PreNormed::begin(w.config, w.params, rows, items.view(), alone, state, ctx));
      const std::vector<std::int32_t> parents{0, 0}, children{0, 1, 1}, one{2, 0}, two{5, 4, 6};
      add(PreNormed::step(w.config, w.params, rows, 1, parents, one, state, ctx));
      add(PreNormed::step(w.config, w.params, rows, 2, children, two, state, ctx));
      return all;
    };
    Weights<PreNormed, double> padded, turned;
    padded.config.left_padded = true;
    // The table turned, so that the positions that history then had come first.
    const auto unused = (4 - static_cast<Index>(history.size())) * 3;
    double* const position = turned.params.position.data();
    std::rotate(position, position + unused * 6, position + turned.config.positions() * 6);
    const std::vector<double> found = states(padded), expected = states(turned);
    REQUIRE(found.size() == expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      CHECK(std::abs(found[i] - expected[i]) < 1e-12);
    }
  }
}

TEST_CASE("A level that is stepped again replaces the one before, and may have no node") {
  const SpelledItems items;
  Weights<PreNormed, double> w;
  Arena arena;
  cpu::Context ctx{arena};
  PreNormed::State<double> state;
  const Matrix<const double> rows = w.params.embedding.table;
  using Rows = std::vector<std::int32_t>;
  const auto step = [&](Index level, const Rows& parents, const Rows& chosen) {
    const auto y = PreNormed::step(w.config, w.params, rows, level, parents, chosen, state, ctx);
    return std::vector<double>(y.begin(), y.end());
  };
  PreNormed::begin(w.config, w.params, rows, items.view(), taught, state, ctx);
  const auto first = step(1, {0, 1}, {2, 3});
  const auto deeper = step(2, {1}, {4});
  CHECK(step(1, {0, 0, 2}, {1, 0, 3}) != first);
  step(2, {}, {});
  CHECK(step(1, {0, 1}, {2, 3}) == first);
  CHECK(step(2, {1}, {4}) == deeper);
}
