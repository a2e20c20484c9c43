// SPDX-License-Identifier: Apache-2.0
#include <iostream>

#include <simgr_cli/commands.hpp>

#include <simgr/io/semantic_ids.hpp>
#include <simgr/tokenizer/collision.hpp>
#include <simgr/tokenizer/random_ids.hpp>
#include <simgr/tokenizer/residual_kmeans.hpp>

namespace simgr_cli {

void tokenize(const TokenizeOptions& options) {
  namespace tokenizer = simgr::tokenizer;
  tokenizer::ResidualKMeansConfig config{.levels = options.levels,
                                         .codes = options.codes,
                                         .iterations = options.iterations,
                                         .seed = options.seed};
  config.collision = options.collision == "digit"          ? tokenizer::Collision::digit
                     : options.collision == "nearest-free" ? tokenizer::Collision::nearest_free
                                                           : tokenizer::Collision::keep;
  simgr::cpu::ThreadPool pool(threads_or_all(options.threads));
  const DataFolder folder = read_folder(options.data);
  const auto vectors = text_vectors_of(folder, options.text_vectors, pool);
  const simgr::SemanticIds ids = tokenizer::residual_kmeans(vectors, config, pool);
  simgr::io::write_semantic_ids(options.out, ids);
  std::cout << tokenizer::to_text(tokenizer::collision_report(ids)) << "saved " << options.out
            << "\n";
}

}  // namespace simgr_cli
