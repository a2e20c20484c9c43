// SPDX-License-Identifier: Apache-2.0
#include <support/whole_model.hpp>

#include <simgr/composition.hpp>
#include <simgr/encoder/item_embedding.hpp>
#include <simgr/encoder/recurrent_encoder.hpp>
#include <simgr/loss/cross_entropy.hpp>
#include <simgr/loss/pairwise.hpp>
#include <simgr/pooler/positions.hpp>
#include <simgr/similarity/candidates.hpp>
#include <simgr/similarity/inner_product.hpp>

using namespace simgr;

namespace {

template <class E>
typename E::Config tiny_recurrent() {
  typename E::Config c;
  c.width = c.hidden = 4;
  c.dropout = .1;
  c.hidden_dropout = .2;
  return c;
}

}  // namespace

TEST_CASE("GRU4Rec of libraries gives the gradient of every weight") {
  using E = RecurrentEncoder<ItemEmbedding, ResetAfter>;
  auto c = tiny_recurrent<E>();
  c.hidden = 5;
  c.layers = 2;
  simgr_test::check_whole_model<E, EveryPosition, InnerProduct<TiedItems>, ItemCrossEntropy<>>(
      {.encoder = c});
}

TEST_CASE("the original GRU4Rec gives the gradient of every weight") {
  using E = RecurrentEncoder<ItemEmbedding, ResetBefore>;
  auto c = tiny_recurrent<E>();
  c.biased = true;
  c.projected = false;
  simgr_test::check_whole_model<E, EveryPosition, InnerProduct<TiedItems>,
                                BprMax<InBatchAndDrawn<false>>>(
      {.encoder = c, .loss = {.negatives = {.extra = 3}}});
  simgr_test::check_whole_model<E, EveryPosition, InnerProduct<TiedItems>,
                                ItemCrossEntropy<InBatchAndDrawn<true>>>(
      {.encoder = c, .loss = {.extra = 3}});
  c.hidden = 5;
  CHECK(E::check(c) ==
        "encoder.hidden: expected encoder.width 4, because states are not projected, "
        "found 5");
}

TEST_CASE("candidates of all rows are its targets, and others by their popularity") {
  const simgr_test::ToyWorld world;
  Arena arena;
  cpu::Context ctx{arena, true, 3, 1};
  const LossBatch batch = world.batch(Examples::every_prefix);
  using Negatives = InBatchAndDrawn<true>;
  const SharedCandidates all =
      Negatives::candidates({.extra = 7000, .exponent = .5}, batch, 7, ctx);
  REQUIRE(all.ids.size() == 7003);
  CHECK(std::equal(batch.targets.begin(), batch.targets.end(), all.ids.begin()));
  double sum = 0;
  for (const double log : world.log_popularity) { sum += std::exp(.5 * log); }
  for (ItemId item = 0; item < 7; ++item) {
    const auto i = static_cast<std::size_t>(item);
    const double expected = 7000 * std::exp(.5 * world.log_popularity[i]) / sum;
    const auto drawn = std::count(all.ids.begin() + 3, all.ids.end(), item);
    CHECK(static_cast<double>(drawn) == doctest::Approx(expected).epsilon(.15));
    const auto place = static_cast<std::size_t>(
        std::find(all.ids.begin() + 3, all.ids.end(), item) - all.ids.begin());
    CHECK(all.log_q[place] == doctest::Approx(std::log(expected)));
  }
  CHECK(all.log_q[0] == doctest::Approx(std::log(3.0) + world.log_popularity[6]));
}
