// SPDX-License-Identifier: Apache-2.0
#include <simgr/encoder/transformer.hpp>

#include <support/whole_model.hpp>

#include <simgr/encoder/item_embedding.hpp>

using namespace simgr;

TEST_CASE_TEMPLATE("serving the last position gives the state that the whole pass gives there",
                   Placement, PreNorm, PostNorm, QueryNorm) {
  using E = TransformerEncoder<ItemEmbedding, Causal, Placement>;
  const simgr_test::ToyWorld world;
  for (const Index layers : {0, 1, 2}) {
    typename E::Config config;
    config.width = 6;
    config.layers = layers;
    config.max_length = 5;
    config.catalogue = world.sizes;
    std::vector<double> weights = simgr_test::random_values(describe<E>(config).block_size, 3, 0.5);
    const auto params = bind<E>(config, weights.data());
    Arena arena;
    cpu::Context ctx{arena};
    typename E::template Cache<double> cache;
    const RaggedView<ItemId> history{world.history, world.offsets};
    const Matrix<double> all =
        E::forward(config, params, params.embedding.table, world.items(), history, cache, ctx);
    const Matrix<double> last =
        E::forward_last(config, params, params.embedding.table, world.items(), history, cache, ctx);
    REQUIRE(last.rows() == history.sequences());
    for (Index s = 0; s < last.rows(); ++s) {
      const Index end = world.offsets[static_cast<std::size_t>(s) + 1] - 1;
      for (Index c = 0; c < last.cols(); ++c) {
        CHECK(last(s, c) == doctest::Approx(all(end, c)).epsilon(1e-12));
      }
    }
  }
}
