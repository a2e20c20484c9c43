// SPDX-License-Identifier: Apache-2.0
#include <simgr/tokenizer/neighbour_term.hpp>

#include <cmath>
#include <set>

#include <doctest/doctest.h>
#include <support/gradient_check.hpp>

using simgr::Index;
using namespace simgr::tokenizer;

namespace {

constexpr Index pairs_of_term = 5;

/// An encoder of two maps, and rows for it.
struct EncoderOfPairs {
  RqVae::Config shape{.in = 6, .hidden = {7}, .latent = 4, .levels = 1, .codes = 2};
  simgr::ParameterTable table = simgr::describe<RqVae>(shape);
  std::vector<double> weights = simgr_test::random_values(table.block_size, 21, 0.7);
  std::vector<double> gradients = std::vector<double>(weights.size());
  std::vector<double> x = simgr_test::random_values(2 * pairs_of_term * 6, 22);
  simgr::Arena arena;

  double term(double temperature, double weight) {
    arena.reset();
    simgr::cpu::Context ctx{arena, true};
    return neighbour_term<double>(shape, {.temperature = temperature, .symmetric = true},
                                  simgr::bind<RqVae>(shape, weights.data()),
                                  simgr::bind<RqVae>(shape, gradients.data()),
                                  {x.data(), {2 * pairs_of_term, shape.in}}, weight, ctx);
  }
  /// The latent of a row, of length 1.
  std::vector<double> direction(Index row) {
    const auto& layers = simgr::bind<RqVae>(shape, weights.data()).encoder.layers;
    std::vector<double> values(x.begin() + row * shape.in, x.begin() + (row + 1) * shape.in);
    for (std::size_t l = 0; l < layers.size(); ++l) {
      std::vector<double> next;
      for (Index o = 0; o < layers[l].weight.rows(); ++o) {
        double sum = layers[l].bias[o];
        for (std::size_t k = 0; k < values.size(); ++k) {
          sum += layers[l].weight(o, static_cast<Index>(k)) * values[k];
        }
        next.push_back(l + 1 < layers.size() ? std::max(sum, 0.0) : sum);
      }
      values = next;
    }
    double squares = 0;
    for (const double value : values) { squares += value * value; }
    for (double& value : values) { value /= std::sqrt(squares); }
    return values;
  }
};

}  // namespace

TEST_CASE("the term of neighbours is a softmax over the pairs both ways, with its gradient") {
  EncoderOfPairs encoder;
  double expected = 0;
  for (Index i = 0; i < pairs_of_term; ++i) {
    for (const bool forth : {true, false}) {
      double sum = 0, own = 0;
      for (Index j = 0; j < pairs_of_term; ++j) {
        const auto a = encoder.direction(forth ? i : pairs_of_term + i),
                   b = encoder.direction(forth ? pairs_of_term + j : j);
        double cosine = 0;
        for (std::size_t k = 0; k < a.size(); ++k) { cosine += a[k] * b[k]; }
        sum += std::exp(cosine / 0.5);
        own = i == j ? cosine / 0.5 : own;
      }
      expected += 0.3 / pairs_of_term / 2 * (std::log(sum) - own);
    }
  }
  std::fill(encoder.gradients.begin(), encoder.gradients.end(), 0.25);  // what is there stays
  CHECK(encoder.term(0.5, 0.3) == doctest::Approx(expected).epsilon(1e-12));
  std::vector<double> claimed = encoder.gradients;
  for (double& g : claimed) { g -= 0.25; }
  simgr_test::compare_with_differences(
      {{"weights", encoder.weights, claimed}}, [&] { return encoder.term(0.5, 0.3); }, 1e-8);
  for (const auto& tensor : encoder.table.tensors) {  // the encoder's alone
    for (Index i = tensor.offset; i < tensor.offset + tensor.size; ++i) {
      CHECK((tensor.name.starts_with("encoder") || claimed[static_cast<std::size_t>(i)] == 0));
    }
  }
}

TEST_CASE(
    "pairs are items that have neighbours and one of their first ones, drawn anew each step") {
  // Vectors tell items apart by their length alone, so that the value tells which rows were read.
  const RqVae::Config shape{.in = 5, .latent = 5, .levels = 1, .codes = 2};
  std::vector<float> weights(static_cast<std::size_t>(simgr::describe<RqVae>(shape).block_size)),
      gradients(weights.size());
  const auto params = simgr::bind<RqVae>(shape, weights.data());
  const auto grads = simgr::bind<RqVae>(shape, gradients.data());
  for (Index k = 0; k < 5; ++k) { params.encoder.layers[0].weight(k, k) = 1; }
  simgr::OwnedMatrix<float> x(5, 5);
  for (Index item = 0; item < 5; ++item) { x.view()(item, item) = 1; }
  simgr::Ragged<simgr::ItemId> neighbours;
  for (const std::vector<simgr::ItemId>& list :
       std::vector<std::vector<simgr::ItemId>>{{1, 2, 3}, {}, {0}, {}, {}}) {
    neighbours.push_back(list);
  }
  const auto gradient_of = [&](NeighbourTerm& term) {
    std::fill(gradients.begin(), gradients.end(), 0.0f);
    simgr::Arena arena;
    simgr::cpu::Context ctx{arena, true};
    RqVae::Cache<float> cache;
    CHECK(term(ctx, RqVaeBatch{{}, x, shape, params, grads, cache, {}}) > 0);
    return gradients;
  };
  // The gradient of the map has a column for each coordinate, hence for each item that was read.
  const auto read_items = [&](Index first) {
    NeighbourTerm term(neighbours, first, 2, {.temperature = 0.5, .symmetric = true}, 1, 3);
    std::set<Index> items;
    for (int step = 0; step < 60; ++step) {
      gradient_of(term);
      for (Index item = 0; item < 5; ++item) {
        for (Index k = 0; k < 5; ++k) {
          if (grads.encoder.layers[0].weight(k, item) != 0) {
            items.insert(item);
          }
        }
      }
    }
    return items;
  };
  CHECK(read_items(3) == std::set<Index>{0, 1, 2, 3});
  CHECK(read_items(2) == std::set<Index>{0, 1, 2});  // item 3 is the third neighbour, 4 nobody's
  CHECK(read_items(1) == std::set<Index>{0, 1, 2});
  NeighbourTerm one(neighbours, 3, 4, {}, 1, 3), same(neighbours, 3, 4, {}, 1, 3),
      other(neighbours, 3, 4, {}, 1, 4);
  const auto first = gradient_of(one);
  CHECK(first == gradient_of(same));
  CHECK(first != gradient_of(other));
  CHECK(first != gradient_of(one));  // the next step
}
