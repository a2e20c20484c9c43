// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include <simgr_cli/commands.hpp>
#include <simgr_cli/data_folder.hpp>

#include <simgr/data/items.hpp>
#include <simgr/data/npy.hpp>
#include <simgr/io/crc32c.hpp>
#include <simgr/io/data_writer.hpp>
#include <simgr/io/sentence_encoder.hpp>

namespace simgr_cli {

namespace {

using simgr::io::SentenceEncoder;
using Vectors = simgr::OwnedMatrix<float>;

constexpr std::size_t part_texts = 512;

std::vector<std::string> texts_of(const EmbedOptions& options) {
  const std::string path = plain_or_packed(options.data + "/items.jsonl");
  if (path.empty()) {
    throw simgr::IoError("the folder has neither items.jsonl nor items.jsonl.gz",
                         {.file = options.data});
  }
  std::vector<std::string> texts;
  for (const simgr::data::ItemText& item : simgr::data::read_items(path)) {
    texts.push_back(options.titles ? item.title : simgr::data::item_text(item));
  }
  return texts;
}

SentenceEncoder encoder_of(const EmbedOptions& options) {
  simgr::io::SentenceEncoderOptions how;
  how.normalised = !options.unscaled;
  how.longest = options.longest;
  if (!options.pooling.empty()) {
    how.pooling = options.pooling == "mean"    ? simgr::Pooling::mean
                  : options.pooling == "first" ? simgr::Pooling::first
                                               : simgr::Pooling::last;
  }
  return SentenceEncoder::open(options.backbone, how);
}

/// What is done is kept beside the output, each part a file that is whole or not there; its name says
/// of which texts, model and options it is made.
class Parts {
public:
  Parts(const std::string& out, const std::vector<std::string>& texts,
        const SentenceEncoder& encoder)
      : out_(out) {
    const auto& pooling = encoder.pooling();
    std::uint32_t sum = simgr::io::crc32c(std::to_string(encoder.checksum()) + " " +
                                          std::to_string(static_cast<int>(pooling.pooling)) + " " +
                                          std::to_string(pooling.normalised) + " " +
                                          std::to_string(encoder.longest()));
    for (const std::string& text : texts) {
      sum = simgr::io::crc32c(std::to_string(text.size()) + " " + text, sum);
    }
    char digits[9];
    std::snprintf(digits, sizeof digits, "%08x", sum);
    prefix_ = std::string(".part-") + digits + "-";
  }

  std::string path(std::size_t part) const { return out_ + prefix_ + std::to_string(part); }

  /// Whether a part was made before; if so, its vectors.
  bool read(std::size_t part, simgr::Matrix<float> into) const {
    std::error_code error;
    if (!std::filesystem::exists(path(part), error)) {
      return false;
    }
    const auto found =
        simgr::data::try_read_npy(path(part), {.rows = into.rows(), .cols = into.cols()});
    if (!found) {
      return false;
    }
    std::copy(found.value().values.begin(), found.value().values.end(), into.begin());
    return true;
  }
  /// Those of other texts, models and options, too.
  void remove_all() const {
    namespace fs = std::filesystem;
    const fs::path parent = fs::path(out_).parent_path();
    const std::string begin = fs::path(out_).filename().string() + ".part-";
    std::error_code error;
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(parent.empty() ? "." : parent, error)) {
      if (entry.path().filename().string().starts_with(begin)) {
        found.push_back(entry.path());
      }
    }
    for (const fs::path& path : found) { fs::remove(path, error); }
  }

private:
  std::string out_, prefix_;
};

void write(const std::string& path, simgr::MatrixArg<float> vectors) {
  if (simgr::Failure failure = simgr::io::try_write_npy(path, vectors)) {
    simgr::raise(*failure);
  }
}

}  // namespace

void embed(const EmbedOptions& options) {
  require_output(options.out, Output::vectors);
  const std::vector<std::string> texts = texts_of(options);
  const SentenceEncoder encoder = encoder_of(options);
  const Parts parts(options.out, texts, encoder);
  simgr::cpu::ThreadPool pool(threads_or_all(options.threads));
  Vectors vectors(static_cast<Index>(texts.size()), encoder.width());
  const std::size_t count = (texts.size() + part_texts - 1) / part_texts;
  std::size_t made = 0;
  const auto start = std::chrono::steady_clock::now();
  for (std::size_t part = 0; part < count; ++part) {
    const std::size_t first = part * part_texts, some = std::min(part_texts, texts.size() - first);
    const simgr::Matrix<float> rows =
        vectors.view().slice(static_cast<Index>(first), static_cast<Index>(some));
    if (parts.read(part, rows)) {
      continue;
    }
    std::vector<SentenceEncoder::Tokens> tokens(some);
    pool.for_each(static_cast<Index>(some), [&](Index i) {
      const auto at = static_cast<std::size_t>(i);
      tokens[at] = encoder.tokens(texts[first + at]);
    });
    encoder.encode_all(tokens, rows, pool);
    write(parts.path(part), rows);
    made += some;
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    const std::size_t left = texts.size() - first - some;
    std::fprintf(stderr, "%zu of %zu texts, %.0f a second, %.0f s left\n", first + some,
                 texts.size(), static_cast<double>(made) / seconds,
                 static_cast<double>(left) * seconds / static_cast<double>(made));
  }
  if (made < texts.size()) {
    std::fprintf(stderr, "%zu texts were there from a run before\n", texts.size() - made);
  }
  write(options.out, vectors.view());
  parts.remove_all();
  std::printf("saved %s: %td vectors of %td numbers\n", options.out.c_str(), vectors.rows,
              vectors.cols);
}

}  // namespace simgr_cli
