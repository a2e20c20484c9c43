// SPDX-License-Identifier: Apache-2.0
#include <cstdio>

#include <simgr_cli/tokenizers.hpp>

#include <simgr/tokenizer/balanced_residual_kmeans.hpp>
#include <simgr/tokenizer/fit_rq_vae.hpp>
#include <simgr/tokenizer/hierarchical_kmeans.hpp>

namespace simgr_cli {

Made by_balanced_kmeans(Request& request) {
  const auto config = configured<tokenizer::ResidualKMeansConfig>(request.options, "levels");
  auto found = tokenizer::fit_balanced_residual_kmeans(request.to_fit(), config, 5, request.pool);
  auto codes = tokenizer::encode_balanced(found.quantizer, request.vectors, request.pool);
  return made_by(std::move(found.quantizer), request.vectors, std::move(codes));
}

Made by_hierarchical_kmeans(Request& request) {
  const auto config = configured<tokenizer::HierarchicalKMeansConfig>(request.options, "levels");
  auto found = tokenizer::fit_hierarchical_kmeans(request.to_fit(), config, request.pool);
  return made_by(std::move(found.quantizer), request.vectors, request.pool);
}

Made by_rq_vae(Request& request) {
  const auto config = configured<tokenizer::RqVaeConfig>(request.options, "levels");
  const auto found =
      tokenizer::fit_rq_vae(request.to_fit(), config, [&](const tokenizer::RqVaeEpoch& epoch) {
        if (epoch.collision_rate >= 0) {
          std::fprintf(stderr,
                       "epoch %td: loss %.4f, reconstruction %.4f, %.2f %% of ids collide\n",
                       epoch.epoch, epoch.loss, epoch.reconstruction, 100 * epoch.collision_rate);
        }
      });
  std::fprintf(stderr, "kept epoch %td\n", found.best_epoch);
  return made_by(found.tokenizer.quantizer, found.tokenizer.latents(request.vectors, request.pool),
                 request.pool);
}

}  // namespace simgr_cli
