// SPDX-License-Identifier: Apache-2.0
#include <simgr/text/tfidf.hpp>

#include <cmath>
#include <thread>

#include <doctest/doctest.h>

#include <support/processor_time.hpp>

using simgr::Index;
using simgr::SparseRows;
using namespace simgr::text;

namespace {

double cosine(const simgr::OwnedMatrix<float>& x, Index a, Index b) {
  double product = 0, aa = 0, bb = 0;
  for (Index k = 0; k < x.cols; ++k) {
    const auto p = static_cast<double>(x.view()(a, k)), q = static_cast<double>(x.view()(b, k));
    product += p * q;
    aa += p * p;
    bb += q * q;
  }
  return product / std::sqrt(aa * bb);
}

struct TwoThreads {
  template <class F>
  void for_each(Index count, F&& f) const {
    std::thread other([&] {
      for (Index i = 1; i < count; i += 2) { f(i); }
    });
    for (Index i = 0; i < count; i += 2) { f(i); }
    other.join();
  }
};

const std::vector<std::string> shelf{"OPI Nail Lacquer, red shatter",
                                     "opi NAIL LACQUER red glitter",
                                     "Nail lacquer remover",
                                     "Sun screen SPF 50 face lotion",
                                     "Sun lotion SPF 30",
                                     "Face lotion, dry skin",
                                     "",
                                     " ... "};

}  // namespace

TEST_CASE("weights are sublinear counts times smoothed rarity in rows of length one") {
  const std::vector<std::string> texts{"red red red nail", "nail"};
  const SparseRows rows = tfidf(texts, {.bigrams = false});
  REQUIRE(rows.cols == 2);
  REQUIRE(rows.offsets == std::vector<Index>{0, 2, 3});
  const double red = (1 + std::log(3.0)) * (1 + std::log(3.0 / 2)), nail = 1.0;
  const double length = std::sqrt(red * red + nail * nail);
  std::vector<double> found{static_cast<double>(rows.values[0]),
                            static_cast<double>(rows.values[1])};
  std::sort(found.begin(), found.end());
  CHECK(found[0] == doctest::Approx(nail / length));
  CHECK(found[1] == doctest::Approx(red / length));
  CHECK(rows.values[2] == doctest::Approx(1));
}

TEST_CASE("pairs of neighbouring words count, and only neighbouring ones") {
  const std::vector<std::string> texts{"red nail lacquer"};
  CHECK(tfidf(texts, {.bigrams = true}).entries() == 5);
  CHECK(tfidf(texts, {.bigrams = false}).entries() == 3);
  const std::vector<std::string> turned{"red nail", "nail red"};
  CHECK(tfidf(turned).cols == 4);
}

TEST_CASE("like items lie close and unlike ones do not") {
  const auto vectors = text_vectors(shelf, {.width = 4});
  REQUIRE(vectors.rows == 8);
  REQUIRE(vectors.cols == 4);
  CHECK(cosine(vectors, 0, 1) > 0.7);
  CHECK(cosine(vectors, 3, 4) > 0.5);
  CHECK(cosine(vectors, 0, 4) < 0.2);
}

TEST_CASE("a text without words gives zeros, every other a vector of length one") {
  const auto vectors = text_vectors(shelf, {.width = 5});
  for (Index row = 0; row < 8; ++row) {
    double squares = 0;
    for (const float value : vectors.view().row(row)) {
      squares += static_cast<double>(value) * static_cast<double>(value);
    }
    CHECK(squares == doctest::Approx(row < 6 ? 1.0 : 0.0));
  }
}

TEST_CASE("text vectors are the same bits on one thread and on two") {
  std::vector<std::string> texts;
  for (int i = 0; i < 300; ++i) {
    texts.push_back("kind " + std::to_string(i % 17) + " shade " + std::to_string(i % 23) + " no " +
                    std::to_string(i));
  }
  const auto serial = text_vectors(texts, {.width = 24, .seed = 5});
  CHECK(text_vectors(texts, {.width = 24, .seed = 5}, TwoThreads{}).values == serial.values);
}

TEST_CASE("no word in any text is an error that names what to give instead") {
  const std::vector<std::string> blank{"", "  ", "---"};
  CHECK_THROWS_WITH_AS(
      text_vectors(blank),
      "none of the 3 item texts holds a word; give item vectors (--text-vectors) or "
      "semantic ids (--ids) instead",
      simgr::DataError);
  CHECK_THROWS_AS(text_vectors(std::vector<std::string>{}), simgr::DataError);
  CHECK_THROWS_AS(text_vectors(shelf, {.width = 0}), simgr::ConfigError);
}

TEST_CASE("words and blanks of a megabyte, and broken bytes, take linear time") {
  std::vector<std::string> texts{std::string(1 << 20, 'x'), std::string(1 << 20, ' '),
                                 std::string(1 << 20, '\xFF'), std::string(1 << 20, '\xE3'),
                                 "plain"};
  std::string many;
  while (many.size() < (1u << 20)) { many += "w" + std::to_string(many.size()) + " "; }
  texts.push_back(many);
  SparseRows rows;
  const double seconds = simgr_test::processor_seconds([&] { rows = tfidf(texts); });
  CHECK(rows.columns_of(0).size() == 1);
  CHECK(rows.columns_of(1).empty());
  CHECK(rows.columns_of(2).empty());
  CHECK(seconds < 5 * simgr_test::slowness);
}

TEST_CASE("settings out of range are refused by every step") {
  CHECK_THROWS_WITH_AS(tfidf(shelf, {.buckets = 0}), "buckets: expected 1 to 67108864, found 0",
                       simgr::ConfigError);
  CHECK_THROWS_AS(tfidf(shelf, {.buckets = Index{1} << 40}), simgr::ConfigError);
  const SparseRows rows = tfidf(shelf);
  CHECK_THROWS_AS(truncated_svd(rows, {.width = 0}), simgr::ConfigError);
  CHECK_THROWS_AS(truncated_svd(rows, {.width = -3}), simgr::ConfigError);
  CHECK_THROWS_AS(truncated_svd(rows, {.width = 2, .oversampling = -1}), simgr::ConfigError);
  CHECK_THROWS_AS(truncated_svd(rows, {.width = 2, .power_iterations = -1}), simgr::ConfigError);
}
