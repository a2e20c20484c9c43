// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>

#include <simgr/tokenizer/letter_terms.hpp>

namespace simgr::SIMGR_ABI::tokenizer {

/// Numbers of fit_letter, checked by it: those of the RQ-VAE, and LETTER's.
struct LetterConfig {
  RqVaeConfig rq_vae{.levels = 4};
  double collaborative = 0.02;
  double diversity = 1e-4;
  Index groups = 10;

  template <class F, class C>
  static void for_each_field(C& c, F&& f) {
    RqVaeConfig::for_each_field(c.rq_vae, f);
    f(Field{"collaborative", 0, 1e3, "weight of the term that finds collaborative vectors"},
      c.collaborative);
    f(Field{"diversity", 0, 1e3, "weight of the term that spreads codes in groups"}, c.diversity);
    f(Field{"groups", 1, 1 << 20, "of a level's codes, at most half as many as codes"}, c.groups);
  }
};

/// The first broken rule, or empty.
inline std::string check(const LetterConfig& config) {
  const bool unfelt =
      config.diversity > 0 && config.rq_vae.codebooks == CodebookUpdate::moving_average;
  return unfelt
             ? "diversity: codebooks that are moving averages follow no gradient; set it to 0, or "
               "codebooks to gradient"
             : out_of_range(config);
}

/// LETTER's tokenizer: an RQ-VAE of what items say, whose ids also know who is bought together.
///
///   loss = that of fit_rq_vae + collaborative · collaborative_term + diversity · mean over levels of
///          diversity_term
///
/// Collaborative vectors are those of a recommender over item ids, SASRec for instance. It must be
/// trained on the training part alone: what it saw of later interactions would be in the ids.
///
/// @param observer  called with every RqVaeEpoch
///
/// Shapes   vectors [items, width], collaborative [items, latent], or empty where its weight is 0 →
///          ids [items, levels]
/// Results  a pure function of both tables and config
/// Errors   those of fit_rq_vae; ConfigError: a diversity that codebooks of moving averages would not
///          feel; ShapeError or DataError: collaborative vectors that do not fit or are not finite
/// Source   Wang et al., "Learnable Item Tokenization for Generative Recommendation" (LETTER), CIKM
///          2024, section 3.2. Groups are of equal size, its authors' of 10 to
///          60 codes; codebooks start from k-means, theirs from constrained k-means
template <class Observer = Silent>
FittedRqVae fit_letter(MatrixArg<float> vectors, MatrixArg<float> collaborative,
                       const LetterConfig& config = {}, Observer&& observer = {}) {
  if (const std::string sentence = check(config); !sentence.empty()) {
    SIMGR_THROW(ConfigError(sentence));
  }
  if (config.collaborative > 0 || !collaborative.empty()) {
    if (collaborative.rows() != vectors.rows() || collaborative.cols() != config.rq_vae.latent) {
      SIMGR_THROW(ShapeError("collaborative vectors: expected [items, latent] = [" +
                             std::to_string(vectors.rows()) + ", " +
                             std::to_string(config.rq_vae.latent) + "], found [" +
                             std::to_string(collaborative.rows()) + ", " +
                             std::to_string(collaborative.cols()) + "]"));
    }
    check_vectors(collaborative, "collaborative vectors");
  }
  return fit_rq_vae(vectors, config.rq_vae, std::forward<Observer>(observer),
                    LetterTerms(collaborative, config.collaborative, config.diversity,
                                config.groups, config.rq_vae.seed));
}

}  // namespace simgr::SIMGR_ABI::tokenizer
