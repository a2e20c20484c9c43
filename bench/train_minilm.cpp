// SPDX-License-Identifier: Apache-2.0

// Training steps of a published BERT, all weights, one thread: 16 texts of 64 tokens, eight pairs, each
// half of which is to find the other among eight by the cosine of the means; AdamW. Prints one JSON
// line: tokens a second (processor time, median of the steps), the peak of resident memory, GFLOP/s
// of the products alone and their share of what the core can do at most, and the first losses, by which
// peers are seen to do the same (without dropout).
//
//   bench_train_minilm FILES [steps] [dropout in per cent] [recompute: 0 or 1]
//
// FILES: the folder of the model.

#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include <bench/processor.hpp>
#include <bench/timing.hpp>
#include <sys/resource.h>

#include <simgr/cpu/cpu.hpp>
#include <simgr/io/backbone_form.hpp>
#include <simgr/io/model_config.hpp>
#include <simgr/nn/info_nce.hpp>
#include <simgr/nn/sentence_pooling.hpp>
#include <simgr/train/optimizer.hpp>

namespace {

using namespace simgr;

constexpr Index pairs = 8, length = 64;

double peak_megabytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

class Training {
public:
  Training(const std::string& folder, double dropout, bool recompute) {
    const auto facts = io::read_model_config(folder + "/config.json");
    if (const Failure failure = io::BackboneForm<MaskedLm<>>::configure(facts, config_)) {
      raise(*failure);
    }
    config_.dropout = config_.attention_dropout = dropout;
    config_.recompute = recompute;
    table_ = describe<MaskedLm<>>(config_);
    weights_ = memory_.take<float, 1>({table_.block_size});
    gradients_ = memory_.take<float, 1>({table_.block_size});
    std::fill(weights_.begin(), weights_.end(), 0.0f);
    io::load_parameters(io::ModelFolder::open(folder), facts, table_, weights_.span());
    params_ = bind<MaskedLm<>>(config_, weights_.data());
    grads_ = bind<MaskedLm<>>(config_, gradients_.data());
    optimizer_ =
        train::OptimizerState<float>({.rate = 2e-5, .weight_decay = 0.01}, table_.block_size);
    for (Index i = 0; i < tokens(); ++i) {
      ids_.push_back(static_cast<std::int32_t>(1000 + i * 7919 % 29000));
    }
    for (Index s = 0; s <= 2 * pairs; ++s) { offsets_.push_back(s * length); }
  }
  static constexpr Index tokens() { return 2 * pairs * length; }
  double operations() const {  // of the products of weights
    const auto width = static_cast<double>(config_.width),
               inner = static_cast<double>(config_.inner);
    return 6 * static_cast<double>(config_.layers) * (4 * width + 2 * inner) * width *
           static_cast<double>(tokens());
  }

  /// -> the loss
  double step() {
    arena_.reset();
    cpu::Context ctx{arena_, true, 1, step_++};
    std::fill(gradients_.begin(), gradients_.end(), 0.0f);
    MaskedLm<>::Cache<float>& cache = cache_;
    const Matrix<float> states =
        MaskedLm<>::forward(config_, params_, {ids_, offsets_}, {}, cache, ctx);
    const SentencePooling::Config mean{Pooling::mean, false};
    SentencePooling::Cache<float> pooling;
    const Matrix<float> y =
        SentencePooling::forward<float>(mean, MatrixArg<float>(states), offsets_, pooling, ctx);
    const Matrix<float> dy = ctx.take<float>(y.rows(), y.cols());
    fill(ctx, dy, 0.0f);
    const double loss = InfoNce::value_and_gradient<float, Host>(
        {.temperature = 0.05}, y.slice(0, pairs), y.slice(pairs, pairs),
        1.0f / static_cast<float>(pairs), dy.slice(0, pairs), dy.slice(pairs, pairs), ctx);
    const Matrix<float> dstates =
        SentencePooling::backward<float>(mean, MatrixArg<float>(dy), pooling, ctx);
    MaskedLm<>::backward(config_, params_, grads_, dstates, cache, ctx);
    optimizer_->step(table_, weights_, gradients_, 2e-5);
    return loss;
  }

private:
  MaskedLm<>::Config config_;
  ParameterTable table_;
  Arena memory_;
  Vector<float> weights_, gradients_;
  MaskedLm<>::Params<float> params_, grads_;
  MaskedLm<>::Cache<float> cache_;
  std::optional<train::OptimizerState<float>> optimizer_;
  std::vector<std::int32_t> ids_;
  std::vector<Index> offsets_;
  Arena arena_;
  std::uint64_t step_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fputs("bench_train_minilm FILES [steps] [dropout in per cent] [recompute: 0 or 1]\n",
               stderr);
    return 2;
  }
  const int steps = bench::argument(argc, argv, 2, 5);
  Training training(argv[1], bench::argument(argc, argv, 3, 10) / 100.0,
                    bench::argument(argc, argv, 4, 0) != 0);
  std::vector<double> losses{training.step(), training.step()};
  const double seconds =
      bench::median_of(steps, [&] { losses.push_back(training.step()); }).processor;
  const double memory = peak_megabytes(), rate = training.operations() / seconds * 1e-9;
  std::printf("{\"bench\": \"train_minilm\", \"tokens_per_s\": %.0f, \"peak_mb\": %.0f, "
              "\"product_gflops\": %.1f, \"of_peak\": %.2f, \"losses\": [%.6f, %.6f, %.6f]}\n",
              static_cast<double>(Training::tokens()) / seconds, memory, rate, rate / bench::peak(),
              losses[0], losses[1], losses[2]);
  return 0;
}
