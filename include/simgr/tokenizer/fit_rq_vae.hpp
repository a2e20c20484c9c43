// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>  // std::iota
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <simgr/cpu/optimizer_step.hpp>
#include <simgr/tokenizer/kmeans.hpp>
#include <simgr/tokenizer/rq_vae_tokenizer.hpp>
#include <simgr/tokenizer/sinkhorn.hpp>

namespace simgr::SIMGR_ABI::tokenizer {

/// What an epoch of fit_rq_vae was like.
struct RqVaeEpoch {
  Index epoch = 0;                                        // from 1
  double loss = 0, reconstruction = 0, quantisation = 0;  // means over the batches
  std::vector<Index> used;     // [levels], codes that some item was trained with
  double collision_rate = -1;  // of all items, nearest codes; negative: not measured
};

/// What fit_rq_vae found.
struct FittedRqVae {
  RqVaeTokenizer tokenizer;  // of the measured epoch with the fewest collisions
  SemanticIds ids;           // [items, levels], collisions kept
  std::vector<RqVaeEpoch> epochs;
  Index best_epoch = 0;
};

/// A batch as a further term of the loss sees it, between forward and backward.
struct RqVaeBatch {
  std::span<const ItemId> items;  // rows of the vectors
  MatrixArg<float> vectors;       // all, as the encoder takes them
  const RqVae::Config& shape;
  const RqVae::Params<float>& params;
  const RqVae::Params<float>& gradients;  // to be added to
  const RqVae::Cache<float>& cache;       // codes, residuals, Σ q_l
  Matrix<float> dquantised;               // gradient at Σ q_l, to be added to
};

/// The default further term: none. Another has the same two members; term returns its value.
struct NoTerm {
  void begin_epoch(Index, const RqVae::Params<float>&) {}
  template <class Ctx>
  double operator()(Ctx&, const RqVaeBatch&) {
    return 0;
  }
};

namespace detail {

/// The training of one autoencoder.
template <class Observer, class Term>
class RqVaeFit {
public:
  RqVaeFit(MatrixArg<float> vectors, const RqVaeConfig& config, Observer& observer, Term& term)
      : config_(config), observer_(observer), term_(term), x_(vectors.rows(), vectors.cols()),
        sinkhorn_({config.sinkhorn_epsilon, config.sinkhorn_iterations}) {
    found_.tokenizer = RqVaeTokenizer(vectors, config);
    found_.tokenizer.standardise(vectors, x_.view());
    const RqVae::Config& shape = found_.tokenizer.shape;
    table_ = describe<RqVae>(shape);
    auto& weights = found_.tokenizer.weights;
    weights.resize(static_cast<std::size_t>(table_.block_size));
    initialise<float>(table_, weights, config.seed);
    gradients_.resize(weights.size());
    mean_.resize(weights.size());
    square_.resize(weights.size());
    params_ = bind<RqVae>(shape, weights.data());
    grads_ = bind<RqVae>(shape, gradients_.data());
    trained_.assign(static_cast<std::size_t>(shape.levels * shape.codes), 0);
    alive_ = trained_;
    idle_ = trained_;
  }

  FittedRqVae run() && {
    start_codebooks();
    const Index items = x_.rows;
    const Index batches = std::max<Index>(1, (items + config_.batch / 2) / config_.batch);
    std::vector<ItemId> order(static_cast<std::size_t>(items));
    std::iota(order.begin(), order.end(), ItemId{0});
    for (Index epoch = 1; epoch <= config_.epochs; ++epoch) {
      Rng(config_.seed, 0x6f726465, static_cast<std::uint64_t>(epoch) << 32)
          .shuffle(std::span<ItemId>(order));
      term_.begin_epoch(epoch, params_);
      std::fill(trained_.begin(), trained_.end(), 0);
      RqVaeEpoch report{.epoch = epoch, .used = {}};
      for (Index batch = 0; batch < batches; ++batch) {
        const Index begin = items * batch / batches, end = items * (batch + 1) / batches;
        step(std::span<const ItemId>(order).subspan(static_cast<std::size_t>(begin),
                                                    static_cast<std::size_t>(end - begin)),
             rate_at((epoch - 1) * batches + batch, batches), report,
             1.0 / static_cast<double>(batches));
      }
      finish(report);
      restart_dead_codes(epoch);
      watch(report);
      if constexpr (!std::is_same_v<std::remove_const_t<Observer>, Silent>) {
        observer_(std::as_const(report));
      }
      found_.epochs.push_back(std::move(report));
    }
    found_.tokenizer.weights = std::move(best_weights_);
    found_.tokenizer.settle();
    found_.ids = std::move(best_ids_);
    return std::move(found_);
  }

private:
  const RqVae::Config& shape() const noexcept { return found_.tokenizer.shape; }
  std::size_t place(Index level, Index code) const noexcept {
    return static_cast<std::size_t>(level * shape().codes + code);
  }

  /// Codebooks by k-means, level by level on what is left over of the latents at the beginning.
  void start_codebooks() {
    const Index rows = std::min(x_.rows, config_.kmeans_rows);
    OwnedMatrix<float> rest =
        found_.tokenizer.latents_of_standardised(x_.view().slice(0, rows), Serial{});
    for (Index level = 0; level < shape().levels; ++level) {
      const auto l = static_cast<std::size_t>(level);
      const KMeans start = kmeans(rest, {.codes = shape().codes_of(level),
                                         .iterations = config_.kmeans_iterations,
                                         .seed = config_.seed,
                                         .stream = static_cast<std::uint64_t>(level)});
      std::copy(start.centroids.values.begin(), start.centroids.values.end(),
                params_.codebooks[l].begin());
      for (Index row = 0; row < rows; ++row) {
        const auto code = params_.codebooks[l].row(start.labels[static_cast<std::size_t>(row)]);
        for (Index k = 0; k < rest.cols; ++k) { rest.view()(row, k) -= code[k]; }
      }
    }
    if (config_.codebooks == CodebookUpdate::moving_average) {
      counts_.assign(trained_.size(), 0.0f);
      sums_.assign(trained_.size() * static_cast<std::size_t>(shape().latent), 0.0f);
      for (Index level = 0; level < shape().levels; ++level) {
        for (Index code = 0; code < shape().codes_of(level); ++code) { remember(level, code); }
      }
    }
  }
  float usual_count(Index level) const {
    return static_cast<float>(std::min(config_.batch, x_.rows)) /
           static_cast<float>(shape().codes_of(level));
  }
  /// The moving average of a code as if it had long been where it is.
  void remember(Index level, Index code) {
    const auto row = params_.codebooks[static_cast<std::size_t>(level)].row(code);
    counts_[place(level, code)] = usual_count(level);
    for (Index k = 0; k < shape().latent; ++k) {
      sums_[place(level, code) * static_cast<std::size_t>(shape().latent) +
            static_cast<std::size_t>(k)] = row[k] * usual_count(level);
    }
  }

  /// Rising in a line, then falling by a cosine.
  double rate_at(Index step, Index steps_of_epoch) const {
    const double at = static_cast<double>(step + 1),
                 warm = static_cast<double>(config_.warmup_epochs * steps_of_epoch),
                 all = static_cast<double>(config_.epochs * steps_of_epoch);
    if (at < warm) {
      return config_.rate * at / warm;
    }
    const double way = all > warm ? (at - warm) / (all - warm) : 1;
    return config_.rate * (config_.final_rate +
                           (1 - config_.final_rate) * (1 + std::cos(3.141592653589793 * way)) / 2);
  }

  void step(std::span<const ItemId> items, double rate, RqVaeEpoch& report, double share) {
    arena_.reset();
    cpu::Context ctx{.arena = arena_, .training = true, .seed = config_.seed};
    const Matrix<float> x = ctx.take<float>(std::ssize(items), x_.cols);
    for (Index row = 0; row < x.rows(); ++row) {
      std::copy_n(x_.view().row(items[static_cast<std::size_t>(row)]).begin(), x.cols(),
                  x.row(row).begin());
    }
    const RqVae::Loss loss = RqVae::forward<float>(
        shape(), params_, x, cache_, ctx,
        [&](Index level, MatrixArg<float> rows, MatrixArg<float> codebook,
            Vector<std::int32_t> codes) { choose(ctx, level, rows, codebook, codes); });
    std::fill(gradients_.begin(), gradients_.end(), 0.0f);
    Matrix<float> dquantised;
    double value = loss.total;
    if constexpr (!std::is_same_v<Term, NoTerm>) {
      dquantised = ctx.take<float>(x.rows(), shape().latent);
      std::fill(dquantised.begin(), dquantised.end(), 0.0f);
      value += term_(ctx, RqVaeBatch{items, x_, shape(), params_, grads_, cache_, dquantised});
    }
    RqVae::backward<float>(shape(), params_, grads_, cache_, ctx, dquantised);
    descend(rate);
    if (config_.codebooks == CodebookUpdate::moving_average) {
      average_codes();
    }
    for (Index level = 0; level < shape().levels; ++level) {
      for (Index row = 0; row < x.rows(); ++row) {
        ++trained_[place(level, cache_.codes(row, level))];
        ++alive_[place(level, cache_.codes(row, level))];
        idle_[place(level, cache_.codes(row, level))] = -1;
      }
    }
    if (config_.restart_after > 0) {
      restart_idle_codes();
    }
    report.loss += share * value;
    report.reconstruction += share * loss.reconstruction;
    for (const double level : loss.levels) {
      report.quantisation += share * level / static_cast<double>(shape().levels);
    }
  }

  /// The nearest codes, on the last levels by Sinkhorn over the batch.
  void choose(cpu::Context& ctx, Index level, MatrixArg<float> rows, MatrixArg<float> codebook,
              Vector<std::int32_t> codes) {
    if (level < shape().levels - config_.sinkhorn_levels) {
      return NearestCode::assign<float>(ctx, rows, codebook, codes);
    }
    const Arena::Scope scope(ctx.arena);
    const Matrix<float> products = ctx.take<float>(rows.rows(), codebook.rows());
    const Matrix<double> distances = ctx.take<double>(rows.rows(), codebook.rows());
    cpu::gemm_nt<float>(ctx, rows, codebook, products, Write::assign);
    const Vector<float> squares = ctx.take<float>(codebook.rows());
    for (Index code = 0; code < codebook.rows(); ++code) {
      squares[code] = squared_length(codebook.row(code));
    }
    for (Index row = 0; row < rows.rows(); ++row) {
      const float square = squared_length(rows.row(row));
      for (Index code = 0; code < codebook.rows(); ++code) {
        distances(row, code) =
            static_cast<double>(square + squares[code] - 2 * products(row, code));
      }
    }
    sinkhorn_.assign(distances, codes);
  }

  /// One step of AdamW, along a gradient of at most the length `clip`.
  void descend(double rate) {
    ++steps_;
    double squares = 0;
    for (const float g : gradients_) { squares += static_cast<double>(g) * static_cast<double>(g); }
    const double length = std::sqrt(squares);
    if (!std::isfinite(length)) {
      SIMGR_THROW(DataError("rq-vae: the gradient is not finite; a smaller rate, or standardised "
                            "vectors"));
    }
    const double scale = config_.clip > 0 && length > config_.clip ? config_.clip / length : 1;
    const double t = static_cast<double>(steps_);
    for (const TensorEntry& tensor : table_.tensors) {
      if (config_.codebooks == CodebookUpdate::moving_average &&
          tensor.name.starts_with("codebook")) {
        continue;
      }
      const double decay = tensor.decay == Decay::yes ? config_.weight_decay : 0;
      const auto part = [&](std::vector<float>& block) {
        return Vector<float>(block.data() + tensor.offset, {tensor.size});
      };
      cpu::adam_step<float>(
          part(found_.tokenizer.weights), part(gradients_), part(mean_), part(square_),
          {.scale = static_cast<float>(scale)},
          {.beta1 = 0.9f,
           .beta2 = 0.999f,
           .rate = static_cast<float>(rate / (1 - std::pow(0.9, t))),
           .correction = static_cast<float>(1 / std::sqrt(1 - std::pow(0.999, t))),
           .epsilon = 1e-8f,
           .keep = static_cast<float>(1 - rate * decay)});
    }
  }

  /// Codes become the moving averages of the residuals they were chosen for.
  void average_codes() {
    const auto keep = static_cast<float>(config_.decay), take = 1 - keep;
    const auto latent = static_cast<std::size_t>(shape().latent);
    for (float& count : counts_) { count *= keep; }
    for (float& sum : sums_) { sum *= keep; }
    for (Index level = 0; level < shape().levels; ++level) {
      const auto l = static_cast<std::size_t>(level);
      for (Index row = 0; row < cache_.codes.rows(); ++row) {
        const std::size_t at = place(level, cache_.codes(row, level));
        counts_[at] += take;
        const float* const r = cache_.residuals[l].row(row).data();
        for (std::size_t k = 0; k < latent; ++k) { sums_[at * latent + k] += take * r[k]; }
      }
      for (Index code = 0; code < shape().codes_of(level); ++code) {
        const std::size_t at = place(level, code);
        if (counts_[at] > 1e-3f) {  // else it has died, and stays where it was
          for (std::size_t k = 0; k < latent; ++k) {
            params_.codebooks[l](code, static_cast<Index>(k)) =
                sums_[at * latent + k] / counts_[at];
          }
        }
      }
    }
  }

  /// Every code that served nobody since the last restart takes the place of a residual of the last
  /// batch. Not in the last fifth of the epochs, so that codes can settle.
  void restart_dead_codes(Index epoch) {
    if (config_.restart_every == 0 || epoch % config_.restart_every != 0) {
      return;
    }
    Rng rng(config_.seed, 0x64656164, static_cast<std::uint64_t>(epoch) << 32);
    for (Index level = 0; level < shape().levels && 5 * epoch <= 4 * config_.epochs; ++level) {
      for (Index code = 0; code < shape().codes_of(level); ++code) {
        if (alive_[place(level, code)] == 0) {
          restart(level, code, rng);
        }
      }
    }
    std::fill(alive_.begin(), alive_.end(), 0);
  }
  /// The same of every code that served nobody in the last `restart_after` steps, at every step.
  void restart_idle_codes() {
    Rng rng(config_.seed, 0x69646c65, static_cast<std::uint64_t>(steps_) << 32);
    for (Index level = 0; level < shape().levels; ++level) {
      for (Index code = 0; code < shape().codes_of(level); ++code) {
        if (Index& idle = idle_[place(level, code)]; ++idle == config_.restart_after) {
          restart(level, code, rng);
          idle = 0;
        }
      }
    }
  }
  void restart(Index level, Index code, Rng& rng) {
    const Matrix<float>& residuals = cache_.residuals[static_cast<std::size_t>(level)];
    const Vector<float> row = params_.codebooks[static_cast<std::size_t>(level)].row(code);
    std::copy_n(residuals.row(rng.below(residuals.rows())).begin(), shape().latent, row.begin());
    const auto offset = row.data() - found_.tokenizer.weights.data();
    std::fill_n(mean_.begin() + offset, shape().latent, 0.0f);
    std::fill_n(square_.begin() + offset, shape().latent, 0.0f);
    if (config_.codebooks == CodebookUpdate::moving_average) {
      remember(level, code);
    }
  }

  /// Usage of the epoch; every few epochs, and at the end, collisions, and the best
  /// weights kept.
  void finish(RqVaeEpoch& report) {
    for (Index level = 0; level < shape().levels; ++level) {
      const auto first = trained_.begin() + level * shape().codes;
      const Index codes = shape().codes_of(level);
      report.used.push_back(codes - std::count(first, first + codes, 0));
    }
    if (report.epoch % config_.measure_every != 0 && report.epoch != config_.epochs) {
      return;
    }
    found_.tokenizer.settle();
    SemanticIds ids;
    ids.codes =
        found_.tokenizer.quantizer.encode(found_.tokenizer.latents_of_standardised(x_, Serial{}));
    ids.codes_per_digit = found_.tokenizer.quantizer.codes_per_level();
    const Index distinct = group_ids(ids.codes).groups();
    report.collision_rate = static_cast<double>(x_.rows - distinct) / static_cast<double>(x_.rows);
    // Early codes collide little because they say little: the first half does not compete.
    if (2 * found_.best_epoch <= config_.epochs || report.collision_rate < best_) {
      best_ = report.collision_rate;
      best_weights_ = found_.tokenizer.weights;
      best_ids_ = std::move(ids);
      found_.best_epoch = report.epoch;
    }
  }

  /// Stops a training whose codes have fallen together, rather than handing out useless ids.
  void watch(const RqVaeEpoch& report) {
    Index worst = 0;  // the level with the fewest of its codes in use
    const auto usage = [&](Index level) {
      return static_cast<double>(report.used[static_cast<std::size_t>(level)]) /
             static_cast<double>(std::min(shape().codes_of(level), x_.rows));
    };
    for (Index level = 1; level < shape().levels; ++level) {
      worst = usage(level) < usage(worst) ? level : worst;
    }
    starved_ = usage(worst) < config_.least_usage ? starved_ + 1 : 0;
    if (starved_ >= 10 && report.epoch > config_.warmup_epochs) {
      SIMGR_THROW(DataError(
          "rq-vae: the codes have collapsed: at epoch " + std::to_string(report.epoch) + " level " +
          std::to_string(worst) + " uses " +
          std::to_string(report.used[static_cast<std::size_t>(worst)]) + " of " +
          std::to_string(shape().codes_of(worst)) +
          " codes, for 10 epochs fewer than least_usage; standardise or whiten the vectors, "
          "restart dead codes, lower the rate"));
    }
  }

  RqVaeConfig config_;
  Observer& observer_;
  Term& term_;
  OwnedMatrix<float> x_;  // standardised
  Sinkhorn sinkhorn_;
  FittedRqVae found_;
  ParameterTable table_;
  std::vector<float> gradients_, mean_, square_;
  RqVae::Params<float> params_, grads_;
  RqVae::Cache<float> cache_;
  Arena arena_;
  std::int64_t steps_ = 0;
  std::vector<Index> trained_, alive_;  // [levels · codes], uses in this epoch, since the restart
  std::vector<Index> idle_;             // [levels · codes], steps since the last use
  std::vector<float> counts_, sums_;    // [levels · codes (· latent)], moving averages
  double best_ = 0;
  std::vector<float> best_weights_;
  SemanticIds best_ids_;
  Index starved_ = 0;
};

}  // namespace detail

/// Trains an autoencoder whose latent is a sum of codewords, and takes the codes as ids.
///
///   codebooks start from k-means of the first latents, level by level
///   every batch: nearest codes, on the last levels by Sinkhorn; AdamW, or codebooks that are
///   moving averages; dead codes start anew; of the second half of the epochs, the weights with the
///   fewest collisions are kept
///
/// @param observer  called with every RqVaeEpoch
/// @param term      a further term of the loss, see NoTerm
///
/// Shapes   vectors [items, width] → ids [items, levels]
/// Cost     O(epochs · items · parameters); memory: two copies of the vectors
/// Results  a pure function of vectors and config
/// Errors   ConfigError: a setting out of range
///          DataError: a row that is not finite; codes that collapsed; a gradient that is not finite
/// Source   Zheng et al. (LC-Rec) 2024, section 3.2; Rajput et al. (TIGER) 2023, section 3.1; van den
///          Oord et al. 2017, appendix A.1 for moving averages
template <class Observer = Silent, class Term = NoTerm>
FittedRqVae fit_rq_vae(MatrixArg<float> vectors, const RqVaeConfig& config = {},
                       Observer&& observer = {}, Term&& term = {}) {
  if (const std::string sentence = out_of_range(config); !sentence.empty()) {
    SIMGR_THROW(ConfigError(sentence));
  }
  check_vectors(vectors);
  return detail::RqVaeFit<std::remove_reference_t<Observer>, std::remove_reference_t<Term>>(
             vectors, config, observer, term)
      .run();
}

}  // namespace simgr::SIMGR_ABI::tokenizer
