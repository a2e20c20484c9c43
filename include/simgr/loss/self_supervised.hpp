// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>
#include <span>

#include <simgr/core/arena.hpp>
#include <simgr/core/op_tags.hpp>
#include <simgr/core/view.hpp>
#include <simgr/loss/pairwise.hpp>

// The losses of S3-Rec's pre-training, each of one row: value, and the gradient in place of the scores.
//
// Source  Zhou et al. 2020 (S3-Rec), section 4.2, as their published code computes them

namespace simgr::SIMGR_ABI {

/// −log σ(σ(s⁺) − σ(s⁻)): both scores pass a sigmoid before they are compared, so that a pair that is
/// told apart well no longer pulls.
template <class T>
double squashed_pair(T& right, T& wrong, double weight = 1) {
  const auto sigmoid = [](double x) { return detail::softplus(x).slope; };
  const double a = sigmoid(static_cast<double>(right)), b = sigmoid(static_cast<double>(wrong));
  const detail::Softplus1 pair = detail::softplus(b - a);
  right = static_cast<T>(-weight * pair.slope * a * (1 - a));
  wrong = static_cast<T>(weight * pair.slope * b * (1 - b));
  return weight * pair.value;
}

/// Σ_j of the binary cross-entropies of σ(s_j), where those in `labels` are to be 1 and all others 0.
/// A label that is named twice counts once where labels ascend.
template <class T, class Ctx>
double binary_of_labels(Ctx& ctx, Vector<T> scores, std::span<const std::int32_t> labels,
                        double weight = 1) {
  double value = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (i == 0 || labels[i] != labels[i - 1]) {
      value -= static_cast<double>(scores[labels[i]]);
    }
  }
  Arena::Scope scope(ctx.arena);
  const Matrix<T> row(scores.data(), {1, scores.size()}),
      each = ctx.template take<T>(1, scores.size());
  activate(ctx, Softplus{}, row, each);
  for (const T one : each) { value += static_cast<double>(one); }
  fill(ctx, each, static_cast<T>(weight));
  activate_backward(ctx, Softplus{}, row, each, row);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (i == 0 || labels[i] != labels[i - 1]) {
      scores[labels[i]] -= static_cast<T>(weight);
    }
  }
  return weight * value;
}

}  // namespace simgr::SIMGR_ABI
