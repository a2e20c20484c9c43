// SPDX-License-Identifier: Apache-2.0
#include <support/whole_model.hpp>

#include <simgr/composition.hpp>
#include <simgr/encoder/item_embedding.hpp>
#include <simgr/encoder/transformer.hpp>
#include <simgr/loss/cross_entropy.hpp>
#include <simgr/pooler/positions.hpp>
#include <simgr/similarity/candidates.hpp>
#include <simgr/similarity/inner_product.hpp>

using namespace simgr;

TEST_CASE("FMLP-Rec gives the gradient of every weight, and serves what it was taught with") {
  using E = TransformerEncoder<ItemEmbedding, Filtered, PostNorm, GeluErf>;
  using Model = Composition<E, LastPosition, InnerProduct<TiedItems>, ItemCrossEntropy<>>;
  typename Model::Config config;
  config.encoder.width = 5;  // which no heads need to divide
  config.encoder.layers = 2;
  config.encoder.inner = 6;
  config.encoder.max_length = 5;
  config.encoder.dropout = .1;
  simgr_test::check_whole_model<E, LastPosition, InnerProduct<TiedItems>, ItemCrossEntropy<>>(
      config);

  const simgr_test::ToyWorld world;
  config.encoder.catalogue = world.sizes;
  std::vector<double> weights = simgr_test::random_block(describe<Model>(config), 3, .4);
  const auto p = bind<Model>(config, weights.data());
  const RaggedView<ItemId> history{world.history, world.offsets};
  Arena arena;
  cpu::Context ctx{arena};
  typename Model::template Cache<double> cache;
  const Matrix<const double> rows = p.encoder.embedding.table;
  const Matrix<double> all =
      E::forward(config.encoder, p.encoder, rows, world.items(), history, cache.encoder, ctx);
  const Matrix<const double> last =
      Model::queries(config, p, rows, world.items(), history, cache, ctx);
  for (Index s = 0; s < history.sequences(); ++s) {
    for (Index c = 0; c < 5; ++c) {
      CHECK(last(s, c) ==
            doctest::Approx(all(world.offsets[static_cast<std::size_t>(s) + 1] - 1, c))
                .epsilon(1e-12));
    }
  }
}
