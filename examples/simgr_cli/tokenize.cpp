// SPDX-License-Identifier: Apache-2.0
#include <iostream>

#include <simgr_cli/commands.hpp>

#include <simgr/io/semantic_ids.hpp>
#include <simgr/tokenizer/collision.hpp>
#include <simgr/tokenizer/random_ids.hpp>
#include <simgr/tokenizer/residual_kmeans.hpp>

namespace simgr_cli {

namespace {

namespace tokenizer = simgr::tokenizer;

/// Ids of residual k-means; prints the collisions before they are resolved, and after.
simgr::SemanticIds ids_from_texts(const TokenizeOptions& options, const DataFolder& folder) {
  tokenizer::ResidualKMeansConfig config{.levels = options.levels,
                                         .codes = options.codes,
                                         .iterations = options.iterations,
                                         .seed = static_cast<std::uint64_t>(options.seed)};
  simgr::set_field(config, "collision", options.collision);
  simgr::cpu::ThreadPool pool(threads_or_all(options.threads));
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
  return found.ids;
}

/// Ids that know nothing of the items: the control of every result with semantic ids.
simgr::SemanticIds ids_by_chance(const TokenizeOptions& options, const DataFolder& folder) {
  if (options.collision == "nearest-free") {
    throw UsageError("--method random: --collision takes digit or keep");
  }
  tokenizer::RandomIdsConfig config{.levels = options.levels,
                                    .codes = options.codes,
                                    .seed = static_cast<std::uint64_t>(options.seed)};
  simgr::set_field(config, "collision", options.collision);
  simgr::SemanticIds ids = tokenizer::random_ids(folder.items(), config);
  std::cout << tokenizer::to_text(tokenizer::collision_report(ids));
  return ids;
}

}  // namespace

void tokenize(const TokenizeOptions& options) {
  require_output(options.out, Output::ids);
  const DataFolder folder = read_folder(options.data);
  simgr::io::write_semantic_ids(options.out, options.method == "random"
                                                 ? ids_by_chance(options, folder)
                                                 : ids_from_texts(options, folder));
  std::cout << "saved " << options.out << "\n";
}

}  // namespace simgr_cli
