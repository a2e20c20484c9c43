// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>  // std::iota
#include <span>
#include <vector>

#include <simgr/core/owned_matrix.hpp>
#include <simgr/cpu/catalogue_softmax.hpp>
#include <simgr/cpu/elementwise.hpp>
#include <simgr/cpu/gather.hpp>
#include <simgr/cpu/gemm.hpp>
#include <simgr/tokenizer/balanced_kmeans.hpp>
#include <simgr/tokenizer/fit_rq_vae.hpp>

namespace simgr::SIMGR_ABI::tokenizer {

/// LETTER's collaborative term: the sum of an item's codewords is to find the item's own
/// collaborative vector among those of the batch.
///
///   weight / rows · Σ_i -log softmax_j(zq_i · v_j)[i]
///
/// Shapes     quantised (zq), vectors (v), dquantised [rows, latent]
/// Gradients  dquantised accumulates; the vectors are constants
/// Source     Wang et al. (LETTER), CIKM 2024, section 3.2.2
template <class T, class Ctx>
double collaborative_term(Ctx& ctx, MatrixArg<T> quantised, MatrixArg<T> vectors, T weight,
                          Matrix<T> dquantised) {
  const Arena::Scope scope(ctx.arena);
  const Index rows = quantised.rows(), width = quantised.cols();
  const auto own = ctx.template take<std::int32_t>(rows);
  std::iota(own.begin(), own.end(), 0);
  const auto dz = ctx.template take<T>(rows, width), unused = ctx.template take<T>(rows, width);
  fill(ctx, unused, T(0));
  const T share = weight / static_cast<T>(rows);
  const double sum =
      catalogue_cross_entropy(ctx, quantised, vectors, std::span<const std::int32_t>(own.span()),
                              share, Index{1} << 22, dz, unused);
  copy(ctx, dz, dquantised, Write::add);
  return static_cast<double>(share) * sum;
}

/// LETTER's diversity term of one level: a code is to be more like the other codes of its group than
/// like the rest, so that codewords spread in groups rather than crowd in one place.
///
///   weight / rows · Σ_c rows of c · (log Σ_{j ≠ c} exp(e_c · e_j) - mean of e_c · e_k)
///
/// over the other codes k of c's group: the expectation of the cross-entropy against one of them,
/// which its authors draw. It depends on the codes alone, so a batch costs codes², not rows · codes.
/// A code that is alone in its group takes no part.
///
/// Shapes     codebook, dcodebook [codes, latent];  groups, uses (how many rows chose it) [codes]
/// Gradients  dcodebook accumulates
/// Source     Wang et al. (LETTER), CIKM 2024, section 3.2.3
template <class T, class Ctx>
double diversity_term(Ctx& ctx, MatrixArg<T> codebook, std::span<const std::int32_t> groups,
                      std::span<const Index> uses, T weight, Matrix<T> dcodebook) {
  const Arena::Scope scope(ctx.arena);
  const Index codes = codebook.rows();
  Index rows = 0;
  for (const Index count : uses) { rows += count; }
  const auto scores = ctx.template take<T>(codes, codes);
  gemm_nt(ctx, codebook, codebook, scores, Write::assign);
  double value = 0;
  for (Index c = 0; c < codes; ++c) {
    const auto at = static_cast<std::size_t>(c);
    const Vector<T> s = scores.row(c);
    const std::int32_t group = groups[at];
    const auto mates = std::count(groups.begin(), groups.end(), group) - 1;
    if (uses[at] == 0 || mates == 0) {
      fill(ctx, s, T(0));
      continue;
    }
    const T share = weight * static_cast<T>(uses[at]) / static_cast<T>(rows),
            mate_share = share / static_cast<T>(mates);
    T most = -std::numeric_limits<T>::infinity(), sum = 0;
    for (Index j = 0; j < codes; ++j) { most = j == c ? most : std::max(most, s[j]); }
    for (Index j = 0; j < codes; ++j) { sum += j == c ? T(0) : std::exp(s[j] - most); }
    value += static_cast<double>(share * (most + std::log(sum)));
    for (Index j = 0; j < codes; ++j) {
      const bool mate = j != c && groups[static_cast<std::size_t>(j)] == group;
      value -= mate ? static_cast<double>(mate_share * s[j]) : 0.0;
      s[j] = j == c ? T(0) : share * std::exp(s[j] - most) / sum - (mate ? mate_share : T(0));
    }
  }
  // forward: s = e e'.  de = (ds + ds') e
  gemm_nn(ctx, scores, codebook, dcodebook, Write::add);
  gemm_tn(ctx, scores, codebook, dcodebook, Write::add);
  return value;
}

/// Both terms, as fit_rq_vae takes them. Every epoch groups the codes of each level anew by balanced
/// k-means. Items whose collaborative vector is zero have none and take no part in that term.
class LetterTerms {
public:
  /// @param vectors  collaborative, [items, latent]; may be empty where collaborative is 0
  LetterTerms(MatrixArg<float> vectors, double collaborative, double diversity, Index groups,
              std::uint64_t seed)
      : vectors_(vectors), collaborative_(collaborative), diversity_(diversity), groups_(groups),
        seed_(seed), known_(static_cast<std::size_t>(vectors.rows())) {
    for (Index item = 0; item < vectors.rows(); ++item) {
      known_[static_cast<std::size_t>(item)] = squared_length(vectors.row(item)) > 0;
    }
  }

  /// A template, so that only a program that asks for these terms compiles k-means.
  template <class E = Serial>
  void begin_epoch(Index epoch, const RqVae::Params<float>& params, E&& executor = E{}) {
    group_of_.clear();
    if (diversity_ == 0) {
      return;
    }
    const auto levels = params.codebooks.size();
    for (std::size_t level = 0; level < levels; ++level) {
      const MatrixArg<float> codebook = params.codebooks[level];
      group_of_.push_back(
          balanced_kmeans(codebook,
                          {.codes = std::clamp<Index>(codebook.rows() / 2, 1, groups_),
                           .iterations = 10,
                           .seed = seed_,
                           .stream = static_cast<std::uint64_t>(epoch) * levels + level},
                          2, executor)
              .labels);
    }
  }

  template <class Ctx>
  double operator()(Ctx& ctx, const RqVaeBatch& batch) {
    const Arena::Scope scope(ctx.arena);
    double value = 0;
    if (collaborative_ > 0) {
      value += collaborative(ctx, batch);
    }
    const auto levels = static_cast<Index>(group_of_.size());
    for (Index level = 0; level < levels; ++level) {
      const auto l = static_cast<std::size_t>(level);
      const MatrixArg<float> codebook = batch.params.codebooks[l];
      uses_.assign(static_cast<std::size_t>(codebook.rows()), 0);
      for (Index row = 0; row < batch.cache.codes.rows(); ++row) {
        ++uses_[static_cast<std::size_t>(batch.cache.codes(row, level))];
      }
      value += diversity_term<float>(ctx, codebook, group_of_[l], uses_,
                                     static_cast<float>(diversity_ / static_cast<double>(levels)),
                                     batch.gradients.codebooks[l]);
    }
    return value;
  }

private:
  template <class Ctx>
  double collaborative(Ctx& ctx, const RqVaeBatch& batch) {
    rows_.clear();
    items_.clear();
    for (std::size_t row = 0; row < batch.items.size(); ++row) {
      if (known_[static_cast<std::size_t>(batch.items[row])]) {
        rows_.push_back(static_cast<std::int32_t>(row));
        items_.push_back(batch.items[row]);
      }
    }
    const Index count = std::ssize(rows_), width = vectors_.cols();
    if (count < 2) {
      return 0;
    }
    const auto v = ctx.template take<float>(count, width),
               z = ctx.template take<float>(count, width),
               dz = ctx.template take<float>(count, width);
    gather_rows(ctx, vectors_, std::span<const ItemId>(items_), v);
    gather_rows(ctx, MatrixArg<float>(batch.cache.quantised), std::span<const std::int32_t>(rows_),
                z);
    fill(ctx, dz, 0.0f);
    const double value =
        collaborative_term<float>(ctx, z, v, static_cast<float>(collaborative_), dz);
    scatter_add_rows(ctx, MatrixArg<float>(dz), std::span<const std::int32_t>(rows_), 1.0f,
                     batch.dquantised);
    return value;
  }

  MatrixArg<float> vectors_;
  double collaborative_, diversity_;
  Index groups_;
  std::uint64_t seed_;
  std::vector<bool> known_;                          // [items]
  std::vector<std::vector<std::int32_t>> group_of_;  // [levels] of [codes]
  std::vector<Index> uses_;                          // of a level's codes in a batch
  std::vector<std::int32_t> rows_;                   // of a batch, those whose items are known
  std::vector<ItemId> items_;                        // the items of those rows
};

}  // namespace simgr::SIMGR_ABI::tokenizer
