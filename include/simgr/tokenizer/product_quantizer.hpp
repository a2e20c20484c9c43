// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <simgr/core/fields.hpp>
#include <simgr/core/rng.hpp>
#include <simgr/cpu/decompose.hpp>
#include <simgr/tokenizer/item_id.hpp>
#include <simgr/tokenizer/kmeans.hpp>
#include <simgr/tokenizer/residual_quantizer.hpp>

namespace simgr::SIMGR_ABI::tokenizer {

/// Codebooks side by side: each digit names the centroid nearest to its own part of a vector, after
/// a rotation. Digits are unordered.
///
///   y = R x;   s_j = argmin_c |y_j - e_j,c|²,   y_j = coordinates j w … (j + 1) w - 1 of y
struct ProductQuantizer {
  OwnedMatrix<float> rotation;                // R [width, width], orthonormal; empty: y = x
  std::vector<OwnedMatrix<float>> codebooks;  // [digits] of [codes, width / digits]

  Index digits() const noexcept { return std::ssize(codebooks); }
  Index part() const noexcept { return codebooks.empty() ? 0 : codebooks.front().cols; }
  Index width() const noexcept { return digits() * part(); }
  std::vector<Index> codes_per_digit() const {
    std::vector<Index> codes;
    for (const OwnedMatrix<float>& codebook : codebooks) { codes.push_back(codebook.rows); }
    return codes;
  }

  /// Codes [rows, digits] of vectors [rows, width]; equal on any executor.
  ///
  /// Cost    O(rows · width · (width + codes))
  /// Errors  DataError: rows that are not finite;  ShapeError: rows of another width
  template <class E = Serial>
    requires Executor<std::remove_reference_t<E>> OwnedMatrix<std::int32_t>
    encode(MatrixArg<float> vectors, E&& executor = E{})
  const {
    check(vectors);
    OwnedMatrix<std::int32_t> codes(vectors.rows(), digits());
    std::vector<NearestCentroid> search;
    for (const OwnedMatrix<float>& codebook : codebooks) { search.emplace_back(codebook); }
    RowTiles tiles(vectors.rows());
    tiles.for_each(executor, [&](cpu::Context& ctx, Index first, Index count) {
      const Matrix<float> columns = ctx.take<float>(width(), count);
      if (rotation.empty()) {
        transpose(vectors.slice(first, count), columns);
      } else {
        cpu::gemm_nt<float>(ctx, rotation, vectors.slice(first, count), columns, Write::assign);
      }
      const Nearest nearest = Nearest::take(ctx, count);
      for (Index digit = 0; digit < digits(); ++digit) {
        search[static_cast<std::size_t>(digit)].find(ctx, columns.slice(digit * part(), part()),
                                                     nearest);
        for (Index row = 0; row < count; ++row) {
          codes.view()(first + row, digit) = nearest.labels[row];
        }
      }
    });
    return codes;
  }

  /// The vectors in the coordinates of the codebooks: y [rows, width].
  template <class E = Serial>
    requires Executor<std::remove_reference_t<E>> OwnedMatrix<float>
    rotate(MatrixArg<float> vectors, E&& executor = E{})
  const {
    check(vectors);
    OwnedMatrix<float> rotated(vectors.rows(), width());
    RowTiles tiles(vectors.rows());
    tiles.for_each(executor, [&](cpu::Context& ctx, Index first, Index count) {
      const Matrix<float> to = rotated.view().slice(first, count);
      if (rotation.empty()) {
        std::copy_n(vectors.slice(first, count).begin(), to.size(), to.begin());
      } else {
        cpu::gemm_nt<float>(ctx, vectors.slice(first, count), rotation, to, Write::assign);
      }
    });
    return rotated;
  }

  /// What codes [rows, digits] stand for, in the coordinates of the codebooks: [rows, width].
  OwnedMatrix<float> decode(MatrixArg<std::int32_t> codes) const {
    OwnedMatrix<float> decoded(codes.rows(), width());
    for (Index row = 0; row < codes.rows(); ++row) {
      float* to = decoded.values.data() + row * width();
      for (Index digit = 0; digit < digits(); ++digit, to += part()) {
        std::copy_n(
            codebooks[static_cast<std::size_t>(digit)].view().row(codes(row, digit)).begin(),
            part(), to);
      }
    }
    return decoded;
  }

  /// The same quantizer of rotated vectors as codebooks in a row: parts are orthogonal, so that the
  /// order of the levels changes nothing. What the repair of collisions works on.
  ResidualQuantizer as_residual() const {
    ResidualQuantizer residual;
    for (Index digit = 0; digit < digits(); ++digit) {
      const OwnedMatrix<float>& narrow = codebooks[static_cast<std::size_t>(digit)];
      OwnedMatrix<float>& wide = residual.codebooks.emplace_back(narrow.rows, width());
      for (Index code = 0; code < narrow.rows; ++code) {
        std::copy_n(narrow.view().row(code).begin(), part(),
                    wide.view().row(code).begin() + digit * part());
      }
    }
    return residual;
  }

private:
  void check(MatrixArg<float> vectors) const {
    check_vectors(vectors);
    if (vectors.cols() != width()) {
      SIMGR_THROW(ShapeError("vectors: expected width " + std::to_string(width()) + ", found " +
                             std::to_string(vectors.cols())));
    }
  }
};

/// Numbers of product quantisation, checked by it.
struct ProductQuantizerConfig {
  Index digits = 32;
  Index codes = 256;
  Index rotations = 50;          // 0: a plain product quantizer
  Index iterations = 40;         // Lloyd iterations of the first codebooks
  Index iterations_between = 4;  // and between two rotations, from where they stand
  Index iterations_last = 25;    // and after the last rotation
  std::uint64_t seed = 1;

  template <class F, class C>
  static void for_each_field(C& c, F&& f) {
    f(Field{"digits", 1, 4096, "digits of an id, each for its own part of the vectors"}, c.digits);
    f(Field{"codes", 1, 1 << 20, "centroids of a digit"}, c.codes);
    f(Field{"rotations", 0, 1e6, "improvements of the rotation; 0: a plain product quantizer"},
      c.rotations);
    f(Field{"iterations", 0, 1e6, "Lloyd iterations of the first codebooks"}, c.iterations);
    f(Field{"iterations_between", 0, 1e6, "Lloyd iterations between two rotations"},
      c.iterations_between);
    f(Field{"iterations_last", 0, 1e6, "Lloyd iterations after the last rotation"},
      c.iterations_last);
    f(Field{"seed", 0, 1.9e19, "seed of the first rotation and of the k-means++ draws"}, c.seed);
  }
};

/// What product quantisation found.
struct FittedProductQuantizer {
  ProductQuantizer quantizer;
  SemanticIds ids;            // [items, digits] of the vectors it was fitted to, collisions kept
  std::vector<double> error;  // mean squared distance before every rotation, and at the end
};

namespace detail {

/// Codebooks and rotation in turn, over rows x [rows, width].
template <class E>
class ProductFit {
public:
  ProductFit(MatrixArg<float> x, const ProductQuantizerConfig& config, E& executor)
      : x_(x), config_(config), executor_(executor), part_(x.cols() / config.digits) {
    for (Index digit = 0; digit < config.digits; ++digit) { parts_.emplace_back(x.rows(), part_); }
  }

  FittedProductQuantizer run() && {
    if (config_.rotations > 0) {
      draw_rotation();
    }
    rotate();
    found_.quantizer.codebooks.resize(parts_.size());
    cluster(config_.iterations, true);
    for (Index round = 0; round < config_.rotations; ++round) {
      turn();
      rotate();
      cluster(round + 1 < config_.rotations ? config_.iterations_between : config_.iterations_last,
              false);
    }
    found_.ids.codes = std::move(codes_);
    found_.ids.codes_per_digit = found_.quantizer.codes_per_digit();
    return std::move(found_);
  }

private:
  void draw_rotation() {
    OwnedMatrix<double> square(x_.cols(), x_.cols());
    Rng rng(config_.seed, 0x526f7461);  // a stream no digit draws from
    for (double& value : square.values) { value = rng.normal(); }
    cpu::orthonormalise_columns(square.view());
    set_rotation(square);
  }
  void set_rotation(const OwnedMatrix<double>& square) {
    found_.quantizer.rotation = OwnedMatrix<float>(square.rows, square.cols);
    std::transform(square.values.begin(), square.values.end(),
                   found_.quantizer.rotation.values.begin(),
                   [](double value) { return static_cast<float>(value); });
  }

  /// Fills parts_ with the rotated rows.
  void rotate() {
    const OwnedMatrix<float>& rotation = found_.quantizer.rotation;
    RowTiles tiles(x_.rows());
    tiles.for_each(executor_, [&](cpu::Context& ctx, Index first, Index count) {
      MatrixArg<float> y = x_.slice(first, count);
      if (!rotation.empty()) {
        const Matrix<float> rotated = ctx.take<float>(count, x_.cols());
        cpu::gemm_nt<float>(ctx, y, rotation, rotated, Write::assign);
        y = rotated;
      }
      for (Index row = 0; row < count; ++row) {
        const float* from = y.row(row).data();
        for (OwnedMatrix<float>& part : parts_) {
          std::copy_n(from, part_, part.values.data() + (first + row) * part_);
          from += part_;
        }
      }
    });
  }

  void cluster(Index iterations, bool from_scratch) {
    codes_ = OwnedMatrix<std::int32_t>(x_.rows(), config_.digits);
    double inertia = 0;
    for (Index digit = 0; digit < config_.digits; ++digit) {
      const auto d = static_cast<std::size_t>(digit);
      OwnedMatrix<float>& codebook = found_.quantizer.codebooks[d];
      KMeans step = from_scratch ? kmeans(parts_[d],
                                          {.codes = config_.codes,
                                           .iterations = iterations,
                                           .seed = config_.seed,
                                           .stream = static_cast<std::uint64_t>(digit)},
                                          {}, executor_)
                                 : continue_kmeans(parts_[d], codebook, iterations, executor_);
      codebook = std::move(step.centroids);
      inertia += step.inertia;
      for (Index row = 0; row < x_.rows(); ++row) {
        codes_.view()(row, digit) = step.labels[static_cast<std::size_t>(row)];
      }
    }
    found_.error.push_back(inertia / static_cast<double>(x_.rows()));
  }

  /// The rotation that brings the rows nearest to what their codes stand for: the orthonormal R
  /// that maximises Σ decoded · R x = trace(R' Σ decoded x').
  void turn() {
    const Index width = x_.cols(), rows = x_.rows(), shards = std::min<Index>(8, rows);
    std::vector<OwnedMatrix<float>> sums(static_cast<std::size_t>(shards));
    executor_.for_each(shards, [&](Index shard) {
      OwnedMatrix<float>& sum = sums[static_cast<std::size_t>(shard)];
      sum = OwnedMatrix<float>(width, width);
      Arena arena;
      cpu::Context ctx{.arena = arena};
      const Index begin = rows * shard / shards, end = rows * (shard + 1) / shards;
      for (Index first = begin; first < end; first += 1024) {
        const Index count = std::min<Index>(1024, end - first);
        const OwnedMatrix<float> decoded =
            found_.quantizer.decode(std::as_const(codes_).view().slice(first, count));
        cpu::gemm_tn<float>(ctx, decoded, x_.slice(first, count), sum.view(), Write::add);
      }
    });
    OwnedMatrix<double> product(width, width), nearest(width, width);
    for (const OwnedMatrix<float>& sum : sums) {
      for (std::size_t i = 0; i < sum.values.size(); ++i) {
        product.values[i] += static_cast<double>(sum.values[i]);
      }
    }
    cpu::nearest_orthonormal<double>(product, nearest.view());
    set_rotation(nearest);
  }

  MatrixArg<float> x_;
  ProductQuantizerConfig config_;
  E& executor_;
  Index part_;
  std::vector<OwnedMatrix<float>> parts_;  // [digits] of [rows, width / digits], rotated
  OwnedMatrix<std::int32_t> codes_;
  FittedProductQuantizer found_;
};

}  // namespace detail

/// Product quantisation with a rotation that is fitted, too (OPQ): from a random rotation,
/// codebooks by k-means, the best rotation for them, codebooks again from where they stand.
///
/// Shapes   vectors [items, width] → rotation [width, width], codebooks [digits] of
///          [codes, width / digits], ids [items, digits]
/// Cost     O(rotations · (items · width · (iterations_between · codes + 2 width) + width³));
///          memory: three copies of the vectors. 12,101 x 384, 32 x 256 codes: see bench/README.md
/// Results  a pure function of vectors and config: the same bits on any executor
/// Errors   ConfigError: a setting out of range, a width that is no multiple of the digits
///          DataError: a row that is not finite
/// Source   Jégou et al., "Product quantization for nearest neighbor search", 2011; Ge et al.,
///          "Optimized product quantization", 2013, section 3.1
template <class E = Serial>
  requires Executor<std::remove_reference_t<E>> FittedProductQuantizer fit_product_quantizer(
      MatrixArg<float> vectors, const ProductQuantizerConfig& config = {}, E&& executor = E{}) {
    if (const std::string sentence = out_of_range(config); !sentence.empty()) {
      SIMGR_THROW(ConfigError(sentence));
    }
    check_vectors(vectors);
    if (vectors.cols() % config.digits != 0) {
      SIMGR_THROW(ConfigError("digits: expected a divisor of the vectors' width " +
                              std::to_string(vectors.cols()) + ", found " +
                              std::to_string(config.digits)));
    }
    return detail::ProductFit<std::remove_reference_t<E>>(vectors, config, executor).run();
  }

}  // namespace simgr::SIMGR_ABI::tokenizer
