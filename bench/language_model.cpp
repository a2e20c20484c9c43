// SPDX-License-Identifier: Apache-2.0
// A published decoder-only model with its weights kept as bfloat16: what it takes to load, to read 256 tokens, and to
// train adapters beside it, as a line of JSON.
//
//   python bench/make_checkpoint.py FOLDER;  bench_language_model FOLDER prefill|adapters [ROUNDS]      (no FILE: nothing to load)
//
// prefill   keys and values of all tokens of a text, and the logits behind its last one
// adapters  one step on 4 texts of 128 tokens: rank 8 beside all maps, the cosine of each text's last state with 12,101
//           items that are means of four trained rows, softmax over all of them, AdamW
//
// Tokens a second of processor time, the median of the rounds behind a first one; peak is memory of the whole process.
#include <cstdio>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <bench/processor.hpp>
#include <bench/published_model.hpp>
#include <bench/timing.hpp>

#include <simgr/cpu/cpu.hpp>
#include <simgr/io/mapped_weights.hpp>
#include <simgr/io/model_config.hpp>
#include <simgr/train/optimizer.hpp>

namespace {

using namespace simgr;

double peak_bytes() {
  std::ifstream status("/proc/self/status");
  std::string line;
  while (std::getline(status, line)) {
    if (line.starts_with("VmHWM:")) {
      return 1024 * std::stod(line.substr(6));
    }
  }
  return 0;
}

/// A model of these maps, whose narrow weights lie in the files of a folder.
template <class Projection>
struct Published {
  using Model = bench::PublishedModel<Projection>;
  typename Model::Config config;
  io::MappedWeights<Model> weights;
  double seconds = 0, bytes = 0;  // to load, of the files

  explicit Published(const std::string& path) {
    const double start = bench::seconds();
    auto folder = io::ModelFolder::open(path);
    const auto facts = io::read_model_config(folder.beside("config.json"));
    config = bench::config_of<Model>(facts);
    weights = io::try_map_weights<Model>(std::move(folder), facts, config).value_or_raise();
    seconds = bench::seconds() - start;
    for (const io::Safetensors& file : weights.folder.files()) {
      for (const io::TensorView& tensor : file.tensors()) {
        bytes += static_cast<double>(tensor.bytes.size());
      }
    }
  }
};

std::vector<ItemId> random_tokens(Index count, Index vocabulary) {
  Rng rng(1, 2);
  std::vector<ItemId> ids;
  for (Index i = 0; i < count; ++i) {
    ids.push_back(static_cast<ItemId>(rng.uniform() * static_cast<double>(vocabulary)));
  }
  return ids;
}

template <class F>
double median_seconds(int rounds, F&& work) {
  work();
  std::vector<double> found;
  for (int round = 0; round < rounds; ++round) {
    const double start = bench::seconds();
    work();
    found.push_back(bench::seconds() - start);
  }
  std::sort(found.begin(), found.end());
  return found[found.size() / 2];
}

template <class P>
void report(const P& published, const char* what, Index tokens, double seconds, double flops) {
  std::printf("{\"what\": \"%s\", \"tokens_per_s\": %.1f, \"s\": %.3f, \"gflops\": %.1f, "
              "\"core_gflops\": %.1f, \"load_s\": %.3f, \"peak_mb\": %.0f, \"of_files\": %.3f}\n",
              what, static_cast<double>(tokens) / seconds, seconds, flops / seconds * 1e-9,
              bench::peak(), published.seconds, peak_bytes() / 1e6, peak_bytes() / published.bytes);
}

/// Multiply-adds of all maps for one token, times two.
template <class Model>
double flops_of_maps(const typename Model::Config& config) {
  double numbers = 0;
  for (const TensorEntry& tensor : describe<Model>(config).tensors) {
    numbers += tensor.name.starts_with("blocks.") ? static_cast<double>(tensor.size) : 0.0;
  }
  return 2 * numbers;
}

void prefill(const std::string& path, int rounds) {
  using P = Published<Narrow<Linear>>;
  using Model = P::Model;
  const P published(path);
  const auto& config = published.config;
  constexpr Index tokens = 256;
  const Index vocabulary = config.catalogue.items;
  const auto ids = random_tokens(tokens, vocabulary);
  const Index offsets[] = {0, tokens};
  const RaggedView<ItemId> text{std::span<const ItemId>(ids), Offsets(offsets)};
  Arena arena;
  Model::State<float> state;
  const double seconds = median_seconds(rounds, [&] {
    arena.reset();
    cpu::Context ctx{arena};
    const Matrix<float> last = Model::begin(config, published.weights.params, Matrix<const float>{},
                                            ItemsView<>{vocabulary, {}}, text, state, ctx);
    const Matrix<float> logits = ctx.take<float>(1, vocabulary);
    gemm_nt(ctx, MatrixArg<float>(last),
            MatrixArg<BFloat16>(published.weights.params.embedding.table), logits, Write::assign);
  });
  report(published, "prefill", tokens, seconds,
         flops_of_maps<Model>(config) * static_cast<double>(tokens));
}

void adapters(const std::string& path, int rounds) {
  using P = Published<Lora<Narrow<Linear>>>;
  P published(path);
  using Model = P::Model;
  constexpr Index texts = 4, length = 128, tokens = texts * length, items = 12101, digits = 4,
                  codes = 256;
  const auto& config = published.config;
  const Index width = config.width, vocabulary = config.catalogue.items;
  for (const TensorEntry& tensor : published.weights.table.trained_tensors()) {
    initialise_tensor(tensor, published.weights.block.data() + tensor.offset, 1);
  }
  std::vector<float> gradients(static_cast<std::size_t>(published.weights.table.trained_size));
  const auto grads = bind_trained<Model>(config, gradients.data());
  train::OptimizerState<float> optimizer({.rate = 1e-4}, published.weights.table.trained_size);

  const ParameterTable rows_table =
      lay_out({{"digits", {digits * codes, width}, 0, digits * codes * width, Init::normal(.02)}});
  const auto rows_size = static_cast<std::size_t>(rows_table.block_size);
  std::vector<float> rows(rows_size), rows_gradient(rows_size);
  initialise(rows_table, std::span<float>(rows), 2);
  train::OptimizerState<float> rows_optimizer({.rate = 1e-4}, rows_table.trained_size);
  const Matrix<float> digit_rows(rows.data(), {digits * codes, width}),
      digit_gradient(rows_gradient.data(), {digits * codes, width});
  std::vector<std::int32_t> of_items;
  for (const ItemId code : random_tokens(items * digits, codes)) {
    of_items.push_back(
        code + static_cast<std::int32_t>(static_cast<Index>(of_items.size()) % digits * codes));
  }
  const Matrix<const std::int32_t> spelt(of_items.data(), {items, digits});

  const auto ids = random_tokens(tokens, vocabulary);
  std::vector<Index> offsets;
  std::vector<std::int32_t> last;
  for (Index s = 0; s <= texts; ++s) { offsets.push_back(s * length); }
  for (Index s = 1; s <= texts; ++s) { last.push_back(static_cast<std::int32_t>(s * length - 1)); }
  const RaggedView<ItemId> text{std::span<const ItemId>(ids), Offsets(offsets)};
  Arena arena;
  Model::Cache<float> cache;
  std::uint64_t step = 0;
  double loss = 0;
  const double seconds = median_seconds(rounds, [&] {
    arena.reset();
    cpu::Context ctx{arena, true, 1, step++};
    const Matrix<float> states =
        Model::forward(config, published.weights.params, Matrix<const float>{},
                       ItemsView<>{vocabulary, {}}, text, cache, ctx);
    const Matrix<float> ends = ctx.take<float>(texts, width), users = ctx.take<float>(texts, width),
                        vectors = ctx.take<float>(items, width),
                        keys = ctx.take<float>(items, width),
                        scores = ctx.take<float>(texts, items);
    const Vector<float> user_scale = ctx.take<float>(texts), key_scale = ctx.take<float>(items);
    gather_rows(ctx, MatrixArg<float>(states), std::span<const std::int32_t>(last), ends);
    normalise_rows(ctx, MatrixArg<float>(ends), 1 / .07f, users, user_scale);
    sum_gathered_rows(ctx, MatrixArg<float>(digit_rows), spelt, 1.0f / digits, vectors,
                      Write::assign);
    normalise_rows(ctx, MatrixArg<float>(vectors), 1.0f, keys, key_scale);
    gemm_nt(ctx, MatrixArg<float>(users), MatrixArg<float>(keys), scores, Write::assign);
    loss = 0;
    for (Index s = 0; s < texts; ++s) {
      loss += cross_entropy_row(ctx, scores.row(s), 100 * s, 1.0f / texts);
    }
    const Matrix<float> dusers = ctx.take<float>(texts, width),
                        dends = ctx.take<float>(texts, width),
                        dkeys = ctx.take<float>(items, width),
                        dstates = ctx.take<float>(tokens, width);
    gemm_nn(ctx, MatrixArg<float>(scores), MatrixArg<float>(keys), dusers, Write::assign);
    gemm_tn(ctx, MatrixArg<float>(scores), MatrixArg<float>(users), dkeys, Write::assign);
    normalise_rows_backward(ctx, MatrixArg<float>(ends), 1 / .07f, user_scale,
                            MatrixArg<float>(dusers), dends, Write::assign);
    normalise_rows_backward(ctx, MatrixArg<float>(vectors), 1.0f, key_scale,
                            MatrixArg<float>(dkeys), dkeys, Write::assign);
    scatter_add_to_digits(ctx, MatrixArg<float>(dkeys), spelt, 1.0f / digits, digit_gradient);
    fill(ctx, dstates, 0.0f);
    scatter_add_rows(ctx, MatrixArg<float>(dends), std::span<const std::int32_t>(last), 1.0f,
                     dstates);
    Model::backward(config, published.weights.params, grads, dstates, Matrix<float>{}, cache, ctx);
    optimizer.step(published.weights.table, published.weights.block, gradients, 1e-4);
    rows_optimizer.step(rows_table, rows, rows_gradient, 1e-4);
    std::fill(gradients.begin(), gradients.end(), 0.0f);
    std::fill(rows_gradient.begin(), rows_gradient.end(), 0.0f);
  });
  std::fprintf(stderr, "loss %.4f\n", loss);
  report(published, "adapters", tokens, seconds,
         2 * flops_of_maps<Model>(config) * static_cast<double>(tokens));
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 2 ? argv[2] : "";
  if (what != "prefill" && what != "adapters") {
    std::puts("usage: bench_language_model FOLDER prefill|adapters [ROUNDS]");
    return 2;
  }
  (what == "prefill" ? prefill : adapters)(argv[1], bench::argument(argc, argv, 3, 3));
  return 0;
}
