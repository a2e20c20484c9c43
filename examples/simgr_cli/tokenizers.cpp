// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <filesystem>
#include <iostream>

#include <simgr_cli/item_vectors.hpp>
#include <simgr_cli/rq_vae_epochs.hpp>

#include <simgr/tokenizer/balanced_residual_kmeans.hpp>
#include <simgr/tokenizer/fit_letter.hpp>
#include <simgr/tokenizer/hierarchical_kmeans.hpp>
#include <simgr/train/progress.hpp>

namespace simgr_cli {

Vectors training_rows(const DataFolder& folder, const Vectors& vectors) {
  const std::vector<bool> occurs = trained_items(folder);
  Vectors rows(0, vectors.cols);
  for (Index item = 0; item < folder.items(); ++item) {
    if (occurs[static_cast<std::size_t>(item)]) {
      const auto row = vectors.view().row(item);
      rows.values.insert(rows.values.end(), row.begin(), row.end());
      ++rows.rows;
    }
  }
  return rows;
}

Made by_balanced_kmeans(Request& request) {
  const auto config = configured<tokenizer::ResidualKMeansConfig>(request, "levels");
  auto found = tokenizer::fit_balanced_residual_kmeans(request.to_fit(), config, 5, request.pool);
  auto codes = tokenizer::encode_balanced(found.quantizer, request.vectors, request.pool);
  return made_by(std::move(found.quantizer), request.vectors, std::move(codes));
}

Made by_hierarchical_kmeans(Request& request) {
  const auto config = configured<tokenizer::HierarchicalKMeansConfig>(request, "levels");
  auto found = tokenizer::fit_hierarchical_kmeans(request.to_fit(), config, request.pool);
  return made_by(std::move(found.quantizer), request.vectors, request.pool);
}

namespace {

/// Trains a SASRec of the width, without a look at validation or test.
void train_collaborative(const Request& request, const std::string& out, Index width) {
  simgr::data::Split training;
  training.items = request.folder.items();
  training.train = request.folder.split.train;
  FitRequest fit;
  fit.out = out;
  fit.data_fingerprint = request.folder.fingerprint;
  fit.settings = {{"encoder.width", std::to_string(width)},
                  {"encoder.heads", width % 2 == 0 ? "2" : "1"},
                  {"evaluate_every", "0"}};
  if (request.options.seed) {
    fit.settings.push_back({"seed", std::to_string(*request.options.seed)});
  }
  std::fprintf(stderr, "collaborative vectors: a SASRec of width %td, on the training part alone\n",
               width);
  simgr::train::Progress<> progress(std::cerr, simgr::train::is_terminal(2));
  fit.on_step = [&](const simgr::train::StepReport& report) { progress(report); };
  fit.on_epoch = [&](const simgr::train::EpochReport& report) {
    progress(report);
    return true;
  };
  simgr::Catalogue catalogue{.items = request.folder.items()};
  kind_named("sasrec").fit(std::move(catalogue), training, fit, request.pool);
  progress.finish();
  std::filesystem::remove(state_path(out));
  std::fprintf(stderr, "saved %s; --collaborative-vectors takes it\n", out.c_str());
}

}  // namespace

Vectors collaborative_vectors_of(const Request& request, Index width) {
  if (const std::string& file = request.options.collaborative_vectors; !file.empty()) {
    return item_vectors_of(request.folder, file, width);
  }
  const std::string out = collaborative_path(request.options.out);
  train_collaborative(request, out, width);
  return item_vectors_of(request.folder, out, width);
}

// LETTER without its terms, so that one training is compiled for both.
Made by_rq_vae(Request& request) {
  const auto config = configured<tokenizer::RqVaeConfig>(request, "levels");
  return made_of(request,
                 tokenizer::fit_letter(request.to_fit(), {},
                                       {.rq_vae = config, .collaborative = 0, .diversity = 0},
                                       EpochLines(config.epochs)));
}

Made by_letter(Request& request) {
  const auto config = configured<tokenizer::LetterConfig>(request, "levels");
  if (const std::string sentence = check(config); !sentence.empty()) {  // before any work
    throw UsageError("--set: " + sentence);
  }
  request.collaborative = collaborative_vectors_of(request, config.rq_vae.latent);
  const Vectors fitted =
      request.fitted.empty() ? Vectors{} : training_rows(request.folder, request.collaborative);
  const Vectors& collaborative = fitted.empty() ? request.collaborative : fitted;
  std::fprintf(stderr, "ids from texts and collaborative vectors, weight %g, diversity %g\n",
               config.collaborative, config.diversity);
  return made_of(request, tokenizer::fit_letter(request.to_fit(), collaborative, config,
                                                EpochLines(config.rq_vae.epochs)));
}

}  // namespace simgr_cli
