// SPDX-License-Identifier: Apache-2.0
#include <iostream>

#include <simgr_cli/commands.hpp>

#include <simgr/io/semantic_ids.hpp>
#include <simgr/tokenizer/collision.hpp>
#include <simgr/tokenizer/residual_kmeans.hpp>

namespace simgr_cli {

void tokenize(const TokenizeOptions& options) {
  namespace tokenizer = simgr::tokenizer;
  tokenizer::ResidualKMeansConfig config{.levels = options.levels,
                                         .codes = options.codes,
                                         .iterations = options.iterations,
                                         .seed = static_cast<std::uint64_t>(options.seed)};
  simgr::set_field(config, "collision", options.collision);
  require_output(options.out, Output::ids);
  simgr::cpu::ThreadPool pool(threads_or_all(options.threads));
  const DataFolder folder = read_folder(options.data);
  const auto vectors = text_vectors_of(folder, options.text_vectors, pool);
  auto found = tokenizer::fit_residual_kmeans(vectors, config, {}, pool);
  std::cout << tokenizer::to_text(tokenizer::collision_report(found.ids));
  if (config.collision != tokenizer::Collision::keep) {
    found.ids = tokenizer::resolve_collisions(found, vectors, config.collision);
    std::cout << (config.collision == tokenizer::Collision::digit
                      ? "with one digit more: "
                      : "with items moved to the nearest free id: ")
              << tokenizer::to_text(tokenizer::collision_report(found.ids));
  }
  simgr::io::write_semantic_ids(options.out, found.ids);
  std::cout << "saved " << options.out << "\n";
}

}  // namespace simgr_cli
