// SPDX-License-Identifier: Apache-2.0
#include <simgr/tokenizer/kmeans.hpp>

#include <limits>
#include <set>
#include <thread>

#include <doctest/doctest.h>

using simgr::Index;
using simgr::tokenizer::kmeans;
using simgr::tokenizer::KMeans;

namespace {

simgr::OwnedMatrix<float> random_rows(Index rows, Index width, std::uint64_t seed) {
  simgr::OwnedMatrix<float> x(rows, width);
  simgr::Rng rng(seed);
  for (float& value : x.values) { value = static_cast<float>(rng.normal()); }
  return x;
}

/// Runs the shards on two threads, last one first.
struct TwoThreads {
  template <class F>
  void for_each(Index count, F&& f) const {
    std::thread other([&] {
      for (Index i = count - 1; i >= count / 2; --i) { f(i); }
    });
    for (Index i = count / 2 - 1; i >= 0; --i) { f(i); }
    other.join();
  }
};

double distance(const simgr::OwnedMatrix<float>& a, Index i, const std::vector<double>& b,
                Index j) {
  double sum = 0;
  for (Index k = 0; k < a.cols; ++k) {
    const double d =
        static_cast<double>(a.view()(i, k)) - b[static_cast<std::size_t>(j * a.cols + k)];
    sum += d * d;
  }
  return sum;
}

}  // namespace

TEST_CASE("k-means from given rows is Lloyd's algorithm") {
  // Enough iterations for most centroids to come to rest: from then on only the moving ones are
  // searched.
  const auto x = random_rows(1103, 7, 3);
  const Index codes = 53;
  const int iterations = 30;
  std::vector<Index> start;
  for (Index c = 0; c < codes; ++c) { start.push_back(17 * c + 5); }
  const KMeans found = kmeans(x, {.codes = codes, .iterations = iterations}, start);

  std::vector<double> centroids;
  for (const Index row : start) {
    for (const float value : x.view().row(row)) { centroids.push_back(static_cast<double>(value)); }
  }
  std::vector<std::int32_t> labels(1103);
  double inertia = 0;
  for (int iteration = 0; iteration <= iterations; ++iteration) {
    inertia = 0;
    for (Index row = 0; row < x.rows; ++row) {
      double best = std::numeric_limits<double>::infinity();
      for (Index c = 0; c < codes; ++c) {
        const double d = distance(x, row, centroids, c);
        if (d < best) {
          best = d;
          labels[static_cast<std::size_t>(row)] = static_cast<std::int32_t>(c);
        }
      }
      inertia += best;
    }
    if (iteration == iterations) {
      break;
    }
    std::vector<double> sums(centroids.size());
    std::vector<double> counts(static_cast<std::size_t>(codes));
    for (Index row = 0; row < x.rows; ++row) {
      const auto c = static_cast<std::size_t>(labels[static_cast<std::size_t>(row)]);
      counts[c] += 1;
      for (std::size_t k = 0; k < 7; ++k) {
        sums[c * 7 + k] += static_cast<double>(x.view()(row, static_cast<Index>(k)));
      }
    }
    for (std::size_t i = 0; i < sums.size(); ++i) { centroids[i] = sums[i] / counts[i / 7]; }
  }
  CHECK(found.labels == labels);
  CHECK(found.inertia == doctest::Approx(inertia).epsilon(1e-6));
  for (std::size_t i = 0; i < centroids.size(); ++i) {
    CHECK(static_cast<double>(found.centroids.values[i]) ==
          doctest::Approx(centroids[i]).epsilon(1e-5));
  }
}

TEST_CASE("k-means goes on from centroids as if it had not stopped") {
  const auto x = random_rows(900, 5, 21);
  const KMeans whole = kmeans(x, {.codes = 40, .iterations = 9});
  const KMeans half = kmeans(x, {.codes = 40, .iterations = 4});
  const KMeans rest = simgr::tokenizer::continue_kmeans(x, half.centroids, 5);
  CHECK(rest.labels == whole.labels);
  CHECK(rest.centroids.values == whole.centroids.values);
  CHECK_THROWS_AS(simgr::tokenizer::continue_kmeans(x, random_rows(4, 6, 1), 5), simgr::ShapeError);
}

TEST_CASE("k-means gives the same bits on one thread and on two") {
  const auto x = random_rows(2503, 33, 4);
  const KMeans serial = kmeans(x, {.codes = 300, .iterations = 6, .seed = 9});
  const KMeans threaded = kmeans(x, {.codes = 300, .iterations = 6, .seed = 9}, {}, TwoThreads{});
  CHECK(serial.labels == threaded.labels);
  CHECK(serial.centroids.values == threaded.centroids.values);
  CHECK(serial.inertia == threaded.inertia);
  const KMeans other = kmeans(x, {.codes = 300, .iterations = 6, .seed = 10});
  CHECK(other.centroids.values != serial.centroids.values);
}

TEST_CASE("k-means++ finds separated clusters that uniform starts would miss") {
  // 20 tight clusters, the first with 90 % of the rows: uniform draws leave most others without.
  simgr::OwnedMatrix<float> x(2000, 4);
  simgr::Rng rng(7);
  for (Index row = 0; row < x.rows; ++row) {
    const Index cluster = row < 1800 ? 0 : 1 + row % 19;
    for (Index k = 0; k < 4; ++k) {
      x.view()(row, k) = static_cast<float>(
          (k == cluster % 4 ? 100.0 * static_cast<double>(1 + cluster / 4) : 0.0) +
          0.01 * rng.normal());
    }
  }
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const KMeans found = kmeans(x, {.codes = 20, .iterations = 0, .seed = seed});
    std::set<std::int32_t> used(found.labels.begin(), found.labels.end());
    CHECK(used.size() == 20);
    CHECK(found.inertia / 2000 < 0.01);
  }
}

TEST_CASE("k-means++ draws rows in proportion to their squared distance") {
  // From row 0, rows 1, 2, 3 lie at squared distances 1, 4, 16; starts at other rows are skipped.
  simgr::OwnedMatrix<float> x(4, 3);
  x.view()(1, 0) = 1;
  x.view()(2, 1) = 2;
  x.view()(3, 2) = 4;
  int counts[4] = {}, runs = 0;
  for (std::uint64_t seed = 0; seed < 12000; ++seed) {
    const KMeans found = kmeans(x, {.codes = 2, .iterations = 0, .seed = seed});
    const auto first = found.centroids.view().row(0), second = found.centroids.view().row(1);
    if (simgr::tokenizer::squared_length(first) > 0) {
      continue;
    }
    ++runs;
    for (int row = 1; row < 4; ++row) {
      counts[row] += simgr::tokenizer::squared_distance(second, x.view().row(row)) == 0.0f ? 1 : 0;
    }
  }
  REQUIRE(runs > 2500);
  CHECK(counts[1] / static_cast<double>(runs) == doctest::Approx(1.0 / 21).epsilon(0.3));
  CHECK(counts[2] / static_cast<double>(runs) == doctest::Approx(4.0 / 21).epsilon(0.15));
  CHECK(counts[3] / static_cast<double>(runs) == doctest::Approx(16.0 / 21).epsilon(0.05));
}

TEST_CASE("fewer distinct rows than codes leave codes unused and every row on its centroid") {
  simgr::OwnedMatrix<float> x = random_rows(1000, 5, 11);
  for (Index row = 3; row < x.rows; ++row) {
    std::copy_n(x.view().row(row % 3).begin(), 5, x.view().row(row).begin());
  }
  const KMeans found = kmeans(x, {.codes = 16, .iterations = 5});
  std::set<std::int32_t> used(found.labels.begin(), found.labels.end());
  CHECK(used.size() == 3);
  CHECK(found.inertia == 0.0);
  for (Index row = 3; row < x.rows; ++row) {
    CHECK(found.labels[static_cast<std::size_t>(row)] ==
          found.labels[static_cast<std::size_t>(row % 3)]);
  }
}

TEST_CASE("more codes than rows give every distinct row its own code") {
  const auto x = random_rows(9, 4, 12);
  const KMeans found = kmeans(x, {.codes = 40, .iterations = 3});
  CHECK(std::set<std::int32_t>(found.labels.begin(), found.labels.end()).size() == 9);
  CHECK(found.inertia == 0.0);
  const KMeans single = kmeans(simgr::OwnedMatrix<float>(1, 1), {.codes = 2});
  CHECK(single.labels == std::vector<std::int32_t>{0});
}

TEST_CASE("a code that loses its rows takes the row farthest from its centroid") {
  // Codes 0 and 1 start at the same place: 1 is never nearest and is empty at the first update.
  simgr::OwnedMatrix<float> x(5, 1);
  x.values = {0, 0, 1, 2, 50};
  const std::vector<Index> start{0, 1};
  const KMeans found = kmeans(x, {.codes = 2, .iterations = 3}, start);
  CHECK(found.labels == std::vector<std::int32_t>{0, 0, 0, 0, 1});
  CHECK(found.centroids.values[1] == 50.0f);
}

TEST_CASE("a row as near to two codes takes the lower one") {
  simgr::OwnedMatrix<float> x(3, 1);
  x.values = {2, 1, 0};
  const std::vector<Index> start{0, 2};
  CHECK(kmeans(x, {.codes = 2, .iterations = 0}, start).labels ==
        std::vector<std::int32_t>{0, 0, 1});
}

TEST_CASE("rows that are not finite are refused by number") {
  auto x = random_rows(30, 4, 13);
  x.view()(17, 2) = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_WITH_AS(kmeans(x),
                       "vectors: row 17, column 2: expected a finite number below 1e15, found nan",
                       simgr::DataError);
  x.view()(17, 2) = -std::numeric_limits<float>::infinity();
  CHECK_THROWS_WITH_AS(kmeans(x),
                       "vectors: row 17, column 2: expected a finite number below 1e15, found -inf",
                       simgr::DataError);
  x.view()(17, 2) = 1e30f;
  CHECK_THROWS_AS(kmeans(x), simgr::DataError);
  CHECK_THROWS_AS(kmeans(simgr::OwnedMatrix<float>(0, 4)), simgr::DataError);
  CHECK_THROWS_AS(kmeans(simgr::OwnedMatrix<float>(4, 0)), simgr::DataError);
}

TEST_CASE("start rows are checked") {
  const auto x = random_rows(6, 2, 14);
  CHECK_THROWS_AS(kmeans(x, {.codes = 2}, std::vector<Index>{0, 6}), simgr::DataError);
  CHECK_THROWS_AS(kmeans(x, {.codes = 2}, std::vector<Index>{0}), simgr::ConfigError);
  CHECK_THROWS_AS(kmeans(x, {.codes = 0}), simgr::ConfigError);
}
