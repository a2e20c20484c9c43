// SPDX-License-Identifier: Apache-2.0
#include <simgr/tokenizer/residual_kmeans.hpp>

#include <doctest/doctest.h>
#include <support/shared_folder.hpp>

#include <simgr/data/npy.hpp>
#include <simgr/tokenizer/fit_rq_vae.hpp>

using simgr::Index;
using namespace simgr::tokenizer;

TEST_SUITE("data") {
  TEST_CASE("4 x 256 codes of Beauty's text vectors collide in about 5 % and leave .355 over") {
    const auto shared = simgr_test::shared_folder();
    if (!shared) {
      return;
    }
    const auto vectors = simgr::data::read_npy(
        (*shared / "data/amazon-beauty-2014/text_embeddings_minilm/embeddings.npy.gz").string());
    REQUIRE(vectors.rows == 12101);
    const ResidualKMeans found = fit_residual_kmeans(vectors, {.levels = 4, .codes = 256});
    const CollisionReport report = collision_report(found.ids);
    MESSAGE(to_text(report));
    CHECK(report.collision_rate > 0.04);
    CHECK(report.collision_rate < 0.065);

    // The share of the variance about the mean that four levels leave over.
    std::vector<double> mean(static_cast<std::size_t>(vectors.cols));
    double squares = 0;
    for (Index item = 0; item < vectors.rows; ++item) {
      for (Index k = 0; k < vectors.cols; ++k) {
        const auto value = static_cast<double>(vectors.view()(item, k));
        mean[static_cast<std::size_t>(k)] += value / static_cast<double>(vectors.rows);
        squares += value * value / static_cast<double>(vectors.rows);
      }
    }
    for (const double value : mean) { squares -= value * value; }
    const double left_over = found.error.back() / squares;
    MESSAGE("left over " << left_over);
    CHECK(left_over > 0.335);
    CHECK(left_over < 0.37);

    // The 21 items whose text repeats another's have equal vectors: they too are told apart.
    CHECK(collision_report(append_digit(found.ids)).distinct == 12101);
    const simgr::SemanticIds moved = move_to_nearest_free(found.quantizer, vectors, found.ids);
    CHECK(collision_report(moved).distinct == 12101);
    Index changed = 0;
    for (Index item = 0; item < 12101; ++item) {
      for (Index level = 0; level < 3; ++level) {
        changed += moved.codes.view()(item, level) != found.ids.codes.view()(item, level) ? 1 : 0;
      }
    }
    CHECK(changed == 0);  // 256 last codes are room enough under every prefix
  }
}

TEST_SUITE("slow") {
  TEST_CASE("RQ-VAE 3 x 256 uses Beauty's codes and collides in less than 5 %") {
    const auto shared = simgr_test::shared_folder();
    if (!shared) {
      return;
    }
    const auto vectors = simgr::data::read_npy(
        (*shared / "data/amazon-beauty-2014/text_embeddings_minilm/embeddings.npy.gz").string());
    const FittedRqVae found = fit_rq_vae(vectors);
    const CollisionReport report = collision_report(found.ids);
    MESSAGE("epoch " << found.best_epoch << "\n" << to_text(report));
    CHECK(report.share_in_groups < 0.05);
    for (const DigitUsage& usage : report.digits) { CHECK(usage.used > 0.95 * 256); }
  }
}
