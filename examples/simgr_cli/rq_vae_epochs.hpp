// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdio>

#include <simgr_cli/tokenizers.hpp>

#include <simgr/tokenizer/fit_rq_vae.hpp>
#include <simgr/train/progress.hpp>

namespace simgr_cli {

/// Tells of every epoch in which collisions were counted, and how long the rest will take.
class EpochLines {
public:
  explicit EpochLines(Index epochs) : epochs_(epochs) {}
  void operator()(const tokenizer::RqVaeEpoch& epoch) const {
    if (epoch.collision_rate < 0) {
      return;
    }
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begun_;
    const auto done = static_cast<double>(epoch.epoch), all = static_cast<double>(epochs_);
    std::fprintf(stderr,
                 "epoch %td/%td  loss %.4f  reconstruction %.4f  %.2f %% of ids collide  left %s\n",
                 epoch.epoch, epochs_, epoch.loss, epoch.reconstruction, 100 * epoch.collision_rate,
                 simgr::train::detail::clock_text(passed.count() * (all - done) / done).c_str());
  }

private:
  Index epochs_;
  std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
};

/// The nearest codes of all items, of the epoch that was kept.
inline Made made_of(const Request& request, const tokenizer::FittedRqVae& found) {
  std::fprintf(stderr, "kept epoch %td\n", found.best_epoch);
  return made_by(found.tokenizer.quantizer, found.tokenizer.latents(request.vectors, request.pool),
                 request.pool);
}

}  // namespace simgr_cli
