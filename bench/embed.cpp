// SPDX-License-Identifier: Apache-2.0

// Vectors of the titles of a catalogue by a published sentence encoder, one thread, packed batches of
// titles of like length. Prints one JSON line: titles and tokens a second, GFLOP/s of the products
// alone, and that as a share of what the core can do at most. Tokenising is not in the time.
//
//   bench_embed MODEL_FOLDER ITEMS_FILE [titles] [rounds]

#include <cstdio>
#include <string>
#include <vector>

#include <bench/processor.hpp>
#include <bench/timing.hpp>

#include <simgr/data/items.hpp>
#include <simgr/io/sentence_encoder.hpp>

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fputs("bench_embed MODEL_FOLDER ITEMS_FILE [titles] [rounds]\n", stderr);
    return 2;
  }
  const auto encoder = simgr::io::SentenceEncoder::open(argv[1]);
  const auto items = simgr::data::read_items(argv[2]);
  const auto facts = simgr::io::read_model_config(std::string(argv[1]) + "/config.json");
  const auto wanted = static_cast<std::size_t>(bench::argument(argc, argv, 3, 600));
  const std::size_t step = std::max<std::size_t>(1, items.size() / wanted);
  std::vector<simgr::io::SentenceEncoder::Tokens> titles;
  double tokens = 0;
  for (std::size_t i = 0; i < items.size() && titles.size() < wanted; i += step) {
    titles.push_back(encoder.tokens(items[i].title));
    tokens += static_cast<double>(titles.back().size());
  }
  std::vector<float> vectors(titles.size() * static_cast<std::size_t>(encoder.width()));
  const auto run = [&] {
    encoder.encode_all(
        titles, simgr::Matrix<float>(vectors.data(),
                                     {static_cast<simgr::Index>(titles.size()), encoder.width()}));
  };
  run();
  const double seconds = bench::median_of(bench::argument(argc, argv, 4, 3), run).processor;
  const auto number = [](simgr::Index value) { return static_cast<double>(value); };
  const double products = 2 * number(facts.layers) *
                          (4 * number(facts.width) + 2 * number(facts.inner)) *
                          number(facts.width) * tokens / seconds * 1e-9;
  std::printf("{\"bench\": \"embed\", \"titles_per_s\": %.1f, \"tokens_per_s\": %.0f, "
              "\"product_gflops\": %.1f, \"of_peak\": %.2f}\n",
              static_cast<double>(titles.size()) / seconds, tokens / seconds, products,
              products / bench::peak());
  return 0;
}
