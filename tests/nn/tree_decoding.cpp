// SPDX-License-Identifier: Apache-2.0
#include <simgr/nn/tree_decoding.hpp>

#include <support/gradient_check.hpp>

using namespace simgr;

namespace {

using Decoding = TreeDecoding<FeedForward<Relu>>;
const std::vector<Index> tree_memory{0, 2, 7, 8};

struct Toy {
  Decoding::Config c{.width = 5,
                     .layers = 2,
                     .heads = 2,
                     .head_width = 3,
                     .inner = 7,
                     .buckets = 8,
                     .farthest = 9};
  ParameterTable table = describe<Decoding::Stack>(c);
  std::vector<double> weights = simgr_test::random_values(table.block_size, 1, 0.5),
                      memory = simgr_test::random_values(8 * 5, 2),
                      tokens = simgr_test::random_values(11 * 5, 3);  // what digits look like
  Decoding::Stack::Params<double> p = bind<Decoding::Stack>(c, weights.data());
  Arena arena;
  cpu::Context ctx{arena};

  Matrix<double> embed(std::span<const std::int32_t> digits) {
    const auto x = ctx.take<double>(static_cast<Index>(digits.size()), 5);
    gather_rows(ctx, MatrixArg<double>(tokens.data(), {11, 5}), digits, x);
    return x;
  }
  MatrixArg<double> states() const { return {memory.data(), {8, 5}}; }
  void begin(Decoding::State<double>& state) {
    Decoding::begin(c, tree_memory, state, ctx);
    Decoding::read(c, p, states(), state, ctx);
  }
  /// The last state of a prefix under sequence s, by the whole pass.
  std::vector<double> whole(Index s, const std::vector<std::int32_t>& prefix) {
    const std::vector<Index> offsets{0, static_cast<Index>(prefix.size())};
    const Index first = tree_memory[static_cast<std::size_t>(s)],
                count = tree_memory[static_cast<std::size_t>(s) + 1] - first;
    const std::vector<Index> own{0, count};
    Decoding::Stack::Cache<double> cache;
    const auto y = Decoding::Stack::forward(c, p, embed(prefix), offsets,
                                            {states().slice(first, count), own}, cache, ctx);
    const auto last = y.row(y.rows() - 1);
    return {last.begin(), last.end()};
  }
};

/// Nodes of one depth: their prefixes, sequences, parents and last digits.
struct Nodes {
  std::vector<std::vector<std::int32_t>> prefixes;
  std::vector<Index> sequences;
  std::vector<std::int32_t> parents, digits;
};

double worst_gap(Toy& toy, const Nodes& nodes, Matrix<double> found) {
  REQUIRE(found.rows() == static_cast<Index>(nodes.prefixes.size()));
  double worst = 0;
  for (std::size_t n = 0; n < nodes.prefixes.size(); ++n) {
    const std::vector<double> expected = toy.whole(nodes.sequences[n], nodes.prefixes[n]);
    for (Index i = 0; i < 5; ++i) {
      worst = std::max(
          worst, std::abs(found(static_cast<Index>(n), i) - expected[static_cast<std::size_t>(i)]));
    }
  }
  return worst;
}

/// Up to three children for each node; some have none.
Nodes grown(const Nodes& parents, Rng& rng) {
  Nodes nodes;
  for (std::size_t parent = 0; parent < parents.prefixes.size(); ++parent) {
    for (Index children = rng.below(4); children > 0; --children) {
      nodes.prefixes.push_back(parents.prefixes[parent]);
      nodes.digits.push_back(static_cast<std::int32_t>(1 + rng.below(10)));
      nodes.prefixes.back().push_back(nodes.digits.back());
      nodes.sequences.push_back(parents.sequences[parent]);
      nodes.parents.push_back(static_cast<std::int32_t>(parent));
    }
  }
  return nodes;
}

}  // namespace

TEST_CASE("a tree of prefixes has the states of the whole pass over each prefix") {
  Toy toy;
  Rng rng(4);
  for (int trial = 0; trial < 6; ++trial) {
    Decoding::State<double> state;
    toy.begin(state);
    Nodes nodes{{{0}, {0}, {0}}, {0, 1, 2}, {}, {0, 0, 0}};
    CHECK(worst_gap(toy, nodes,
                    Decoding::step(toy.c, toy.p, 0, {}, MatrixArg<double>(toy.embed(nodes.digits)),
                                   state, toy.ctx)) < 1e-12);
    std::vector<Nodes> tree{nodes};
    for (Index depth = 1; depth < 5; ++depth) {
      tree.push_back(grown(tree.back(), rng));
      CHECK(worst_gap(toy, tree.back(),
                      Decoding::step(toy.c, toy.p, depth, tree.back().parents,
                                     MatrixArg<double>(toy.embed(tree.back().digits)), state,
                                     toy.ctx)) < 1e-12);
    }
    // Back to other nodes of an earlier depth, as a search depth first does.
    tree.resize(2);
    for (Index depth = 2; depth < 4; ++depth) {
      tree.push_back(grown(tree.back(), rng));
      CHECK(worst_gap(toy, tree.back(),
                      Decoding::step(toy.c, toy.p, depth, tree.back().parents,
                                     MatrixArg<double>(toy.embed(tree.back().digits)), state,
                                     toy.ctx)) < 1e-12);
    }
  }
}
