// SPDX-License-Identifier: Apache-2.0
#include <simgr/baselines/unisrec.hpp>

#include <cmath>

#include <doctest/doctest.h>

#include <support/whole_model.hpp>

namespace {

using namespace simgr;
using TextReader = TransformerEncoder<TextMixtureEmbedding, Causal, PostNorm, GeluErf>;

TextReader::Config small_text_reader(bool item_rows, double dropout) {
  return {.width = 6,
          .layers = 1,
          .heads = 2,
          .inner = 5,
          .max_length = 5,
          .dropout = dropout,
          .attention_dropout = dropout,
          .embedding = {.experts = 3, .dropout = dropout, .item_rows = item_rows}};
}

/// Rows of a toy catalogue with weights of a seed, and those weights by name.
struct MixtureRows {
  simgr_test::ToyWorld world;
  TextReader::Config config = small_text_reader(true, 0.4);
  ParameterTable table;
  std::vector<double> weights;
  Arena arena;

  MixtureRows() {
    config.catalogue = world.sizes;
    table = describe<TextReader>(config);
    weights = simgr_test::random_block(table, 7, 0.5);
  }
  const double* tensor(const std::string& name) const {
    for (const TensorEntry& entry : table.tensors) {
      if (entry.name == name) {
        return weights.data() + entry.offset;
      }
    }
    FAIL("no tensor " << name);
    return nullptr;
  }
  Matrix<const double> rows(bool training, std::uint64_t step) {
    cpu::Context ctx{arena, training, 3, step};
    TextMixtureEmbedding::Cache<double> cache;
    return TextMixtureEmbedding::rows(config.embedding_shape(),
                                      bind<TextReader>(config, weights.data()).embedding,
                                      world.items(), cache, ctx);
  }
};

}  // namespace

TEST_CASE("UniSRec gives the gradient of every weight, noise of the gate and dropout included") {
  for (const bool item_rows : {false, true}) {
    simgr_test::check_whole_model<TextReader, EveryPosition, ScaledCosine<TiedItems>,
                                  ItemCrossEntropy<>>(
        {.encoder = small_text_reader(item_rows, item_rows ? 0.2 : 0.0),
         .similarity = {.temperature = 0.5}});
  }
}

TEST_CASE("a served row is the mixture of the experts, in the shares of the gate") {
  MixtureRows mixture;
  const auto rows = mixture.rows(false, 1);
  const Index width = 6, experts = 3, texts = mixture.world.sizes.text_width;
  const double *weight = mixture.tensor("embedding.experts.weight"),
               *bias = mixture.tensor("embedding.experts.bias"),
               *gate = mixture.tensor("embedding.gate.weight"),
               *table = mixture.tensor("embedding.items");
  for (Index i = 0; i < mixture.world.sizes.items; ++i) {
    const auto dot = [&](const double* row) {
      double sum = 0;
      for (Index j = 0; j < texts; ++j) {
        sum += row[j] *
               static_cast<double>(mixture.world.texts[static_cast<std::size_t>(i * texts + j)]);
      }
      return sum;
    };
    double total = 0;
    for (Index e = 0; e < experts; ++e) { total += std::exp(dot(gate + e * texts)); }
    for (Index k = 0; k < width; ++k) {
      double expected = table[i * width + k];
      for (Index e = 0; e < experts; ++e) {
        const Index at = e * width + k;
        expected += std::exp(dot(gate + e * texts)) / total * (dot(weight + at * texts) + bias[at]);
      }
      REQUIRE(rows(i, k) == doctest::Approx(expected).epsilon(1e-12));
    }
  }
}

TEST_CASE("noise and dropout of the mixture are of a step, and absent in serving") {
  MixtureRows mixture;
  const auto apart = [](Matrix<const double> a, Matrix<const double> b) {
    double most = 0;
    for (Index i = 0; i < a.size(); ++i) {
      most = std::max(most, std::abs(a.data()[i] - b.data()[i]));
    }
    return most;
  };
  CHECK(apart(mixture.rows(false, 1), mixture.rows(false, 2)) == 0);
  CHECK(apart(mixture.rows(true, 1), mixture.rows(true, 1)) == 0);
  CHECK(apart(mixture.rows(true, 1), mixture.rows(true, 2)) > 1e-3);
  CHECK(apart(mixture.rows(true, 1), mixture.rows(false, 1)) > 1e-3);
}
