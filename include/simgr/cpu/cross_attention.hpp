// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>

#include <simgr/cpu/context.hpp>
#include <simgr/cpu/eigen.hpp>

// Scores of items whose vector depends on the user. With w_l = e^(a_l), a_l = P(row, r_l) and
// u_l = P(row, R + r_l) over the digits l of an item with table rows r_l,
//
//   s = f N / sqrt(D),   N = Σ w_l u_l,   D = Σ_lm w_l G_lm w_m
//
// which is f times the cosine-like ratio <x, e> / |e| of e = Σ softmax(a)_l v_l: the softmax's own
// sum cancels, so e is never formed and a pair costs O(digits²).

namespace simgr::SIMGR_ABI::cpu {

/// grams(i, l · digits + m) = values(rows(i, l), ·) · values(rows(i, m), ·)
///
/// Shapes  values [table rows, width];  rows [items, digits];  grams [items, digits²]
template <class T>
void digit_grams(Context&, MatrixArg<T> values, Matrix<const std::int32_t> rows,
                 Matrix<T> grams) noexcept {
  const Index digits = rows.cols();
  for (Index i = 0; i < rows.rows(); ++i) {
    for (Index l = 0; l < digits; ++l) {
      for (Index m = 0; m <= l; ++m) {
        const T product = (as_row(values.row(rows(i, l))) * as_row(values.row(rows(i, m)))).sum();
        grams(i, l * digits + m) = grams(i, m * digits + l) = product;
      }
    }
  }
}

/// dvalues(rows(i, l), ·) += Σ_m (dG_lm + dG_ml) values(rows(i, m), ·)
template <class T>
void digit_grams_backward(Context&, MatrixArg<T> values, Matrix<const std::int32_t> rows,
                          MatrixArg<T> dgrams, Matrix<T> dvalues) noexcept {
  const Index digits = rows.cols();
  for (Index i = 0; i < rows.rows(); ++i) {
    for (Index l = 0; l < digits; ++l) {
      for (Index m = 0; m < digits; ++m) {
        const T slope = dgrams(i, l * digits + m) + dgrams(i, m * digits + l);
        as_row(dvalues.row(rows(i, l))) += slope * as_row(values.row(rows(i, m)));
      }
    }
  }
}

namespace detail {

/// One user against one item: weights w and G w [digits], N and 1 / sqrt(D).
template <class T>
struct CrossPair {
  T* weights;
  T* mixed;
  T dot = 0, inverse_root = 0;

  /// `raised` holds e^(logit - largest logit of the user). Digits far below the largest one vanish
  /// in it; such an item is raised anew by its own largest logit.
  void compute(const T* logits, const T* raised, const T* products, const std::int32_t* rows,
               const T* gram, Index digits) noexcept {
    for (Index l = 0; l < digits; ++l) { weights[l] = raised[rows[l]]; }
    T square = mix(products, rows, gram, digits);
    if (!(square > T(1e-24))) {
      T largest = logits[rows[0]];
      for (Index l = 1; l < digits; ++l) { largest = std::max(largest, logits[rows[l]]); }
      for (Index l = 0; l < digits; ++l) { weights[l] = std::exp(logits[rows[l]] - largest); }
      square = mix(products, rows, gram, digits);
    }
    inverse_root = T(1) / std::sqrt(std::max(square, T(1e-24)));
  }

private:
  T mix(const T* products, const std::int32_t* rows, const T* gram, Index digits) noexcept {
    T square = 0;
    dot = 0;
    for (Index l = 0; l < digits; ++l) {
      T sum = 0;
      for (Index m = 0; m < digits; ++m) { sum += gram[l * digits + m] * weights[m]; }
      mixed[l] = sum;
      square += weights[l] * sum;
      dot += weights[l] * products[rows[l]];
    }
    return square;
  }
};

/// f(pair, row, item) for every row and item, the pair computed.
template <class T, class F>
void for_each_cross_pair(Context& ctx, MatrixArg<T> products, Matrix<const std::int32_t> rows,
                         MatrixArg<T> grams, F&& f) {
  const Index digits = rows.cols(), table_rows = products.cols() / 2;
  Arena::Scope scope(ctx.arena);
  CrossPair<T> pair{ctx.take<T>(digits).data(), ctx.take<T>(digits).data()};
  EigenRow<T> raised = as_row(ctx.take<T>(table_rows));
  for (Index row = 0; row < products.rows(); ++row) {
    const T* logits = products.row(row).data();
    const EigenRow<const T> all(logits, table_rows);
    raised = (all - all.maxCoeff()).exp();
    for (Index item = 0; item < rows.rows(); ++item) {
      pair.compute(logits, raised.data(), logits + table_rows, rows.row(item).data(),
                   grams.row(item).data(), digits);
      f(pair, row, item);
    }
  }
}

}  // namespace detail

/// scores(r, i) = factors(r) N / sqrt(D)
///
/// Shapes  products [count, 2 table rows];  rows [items, digits];  grams [items, digits²];
///         factors [count];  scores [count, items]
/// Cost    O(count · items · digits²), and count · table rows exponentials
template <class T>
void cross_scores(Context& ctx, MatrixArg<T> products, Matrix<const std::int32_t> rows,
                  MatrixArg<T> grams, VectorArg<T> factors, Matrix<T> scores) noexcept {
  detail::for_each_cross_pair<T>(ctx, products, rows, grams,
                                 [&](const detail::CrossPair<T>& pair, Index row, Index item) {
                                   scores(row, item) = factors[row] * pair.dot * pair.inverse_root;
                                 });
}

/// dproducts and dfactors are assigned, dgrams accumulates. Shapes as cross_scores.
// forward: s = f N D^-1/2.  With g = ds f / sqrt(D) and c = N / D:
//
//   du_l = g w_l;            da_l = g w_l (u_l - c (G w)_l)
//   dG_lm = -g c w_l w_m / 2;   df = Σ ds N / sqrt(D)
template <class T>
void cross_scores_backward(Context& ctx, MatrixArg<T> products, Matrix<const std::int32_t> rows,
                           MatrixArg<T> grams, VectorArg<T> factors, MatrixArg<T> dscores,
                           Matrix<T> dproducts, Matrix<T> dgrams, Vector<T> dfactors) noexcept {
  const Index digits = rows.cols(), table_rows = products.cols() / 2;
  std::fill(dproducts.begin(), dproducts.end(), T(0));
  std::fill(dfactors.begin(), dfactors.end(), T(0));
  detail::for_each_cross_pair<T>(
      ctx, products, rows, grams, [&](const detail::CrossPair<T>& pair, Index row, Index item) {
        const T slope = dscores(row, item) * pair.inverse_root;
        dfactors[row] += slope * pair.dot;
        const T g = slope * factors[row];
        const T c = pair.dot * pair.inverse_root * pair.inverse_root;
        T* dlogits = dproducts.row(row).data();
        T* dvalues = dlogits + table_rows;
        const T* values = products.row(row).data() + table_rows;
        T* dgram = dgrams.row(item).data();
        for (Index l = 0; l < digits; ++l) {
          const std::int32_t at = rows(item, l);
          const T of_weight = g * pair.weights[l];
          dvalues[at] += of_weight;
          dlogits[at] += of_weight * (values[at] - c * pair.mixed[l]);
          for (Index m = 0; m < digits; ++m) {
            dgram[l * digits + m] -= T(0.5) * of_weight * c * pair.weights[m];
          }
        }
      });
}

}  // namespace simgr::SIMGR_ABI::cpu
