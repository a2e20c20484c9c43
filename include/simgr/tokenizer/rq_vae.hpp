// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <simgr/core/owned_matrix.hpp>
#include <simgr/core/parameter.hpp>
#include <simgr/cpu/activation.hpp>
#include <simgr/cpu/elementwise.hpp>
#include <simgr/cpu/gemm.hpp>
#include <simgr/nn/relu_layers.hpp>

namespace simgr::SIMGR_ABI::tokenizer {

/// Which levels pull the encoder towards their codes.
///
///   first_only  r_l+1 = r_l - (r_l + sg[q_l - r_l]): no gradient passes on, level 1 alone commits
///   all_levels  r_l+1 = r_l - sg[q_l]: every level commits
enum class Commitment { first_only, all_levels };
constexpr std::array<std::string_view, 2> names_of(Commitment) noexcept {
  return {"first-only", "all-levels"};
}

/// How the gradient of the decoder passes the codes to the encoder.
///
///   straight_through  unchanged
///   rotation          by |q| / |z| R', where R turns z into the direction of q, held constant
enum class Estimator { straight_through, rotation };
constexpr std::array<std::string_view, 2> names_of(Estimator) noexcept {
  return {"straight-through", "rotation"};
}

/// The residual-quantised autoencoder: forward, loss and gradients of a batch. Codes are chosen by
/// whoever calls, level by level.
///
///   z = encoder(x);  r_1 = z;  q_l = e_l,c_l;  r_l+1 = r_l - q_l;  y = decoder(Σ q_l)
///   loss = mean((y - x)²) + weight / levels · Σ_l (mean((q_l - sg[r_l])²) + beta mean((sg[q_l] - r_l)²))
///
/// Means over rows and coordinates. Both nets are linear layers with ReLU between them; the decoder
/// mirrors the encoder.
///
/// Shapes      x, y [rows, in];  z, r, q [rows, latent];  codes [rows, levels]
/// Parameters  encoder.i.{weight,bias}, codebook.l [codes of l, latent], decoder.i.{weight,bias}
/// Gradients   parameters accumulate
/// Source      Zeghidour et al. 2021 and Lee et al. 2022 for residual codes; Zheng et al. (LC-Rec)
///             2024; Fifty et al. 2024 for the rotation
struct RqVae {
  struct Config {
    Index in = 0;
    std::vector<Index> hidden{};  // widths between in and latent
    Index latent = 32, levels = 3, codes = 256;
    Index shrink = 1;  // how many times fewer codes each next level has
    double beta = 0.25, weight = 1;
    Commitment commitment = Commitment::first_only;
    Estimator estimator = Estimator::straight_through;
    bool learn_codebooks = true;  // else they take no gradient, and their term no part in the loss

    /// Codes of a level, at least 2.
    Index codes_of(Index level) const noexcept {
      Index count = codes;
      for (Index l = 0; l < level && count > 1; ++l) { count /= shrink; }
      return std::max<Index>(count, 2);
    }
    ReluLayers::Config encoder() const {
      ReluLayers::Config c{{in}};
      c.widths.insert(c.widths.end(), hidden.begin(), hidden.end());
      c.widths.push_back(latent);
      return c;
    }
    ReluLayers::Config decoder() const { return encoder().mirrored(); }
  };
  template <class T, class S = Host>
  struct Params {
    ReluLayers::Params<T, S> encoder, decoder;
    std::vector<Matrix<T, S>> codebooks;
  };
  /// What forward leaves for backward.
  template <class T>
  struct Cache {
    ReluLayers::Cache<T> encoder, decoder;
    MatrixArg<T> x{};
    std::vector<Matrix<T>> residuals;  // [levels] of [rows, latent]: r_l
    Matrix<std::int32_t> codes;        // [rows, levels]
    Matrix<T> quantised, decoded;      // Σ q_l [rows, latent], y [rows, in]
  };
  struct Loss {
    double reconstruction = 0;
    std::vector<double> levels;  // L_l
    double total = 0;
  };

  template <class F, class... P>
  static void for_each_parameter(const Config& c, F&& f, P&... p) {
    resize_blocks(c.levels, p.codebooks...);
    ReluLayers::for_each_parameter(c.encoder(), under("encoder", f), p.encoder...);
    ReluLayers::for_each_parameter(c.decoder(), under("decoder", f), p.decoder...);
    for (Index l = 0; l < c.levels; ++l) {  // last, so that they can be left out of a step
      f(Spec<2>{"codebook." + std::to_string(l),
                {c.codes_of(l), c.latent},
                Init::normal(1),
                Decay::no},
        p.codebooks[static_cast<std::size_t>(l)]...);
    }
  }

  /// z of a batch.
  template <class T, class Ctx>
  static Matrix<T> encode(const Config& c, const Params<T>& p, MatrixArg<T> x, Cache<T>& cache,
                          Ctx& ctx) {
    cache.x = x;
    return ReluLayers::forward(c.encoder(), p.encoder, x, cache.encoder, ctx);
  }

  /// The loss of a batch. assign(level, residual [rows, latent], codebook, codes [rows]) chooses.
  template <class T, class Ctx, class Assign>
  static Loss forward(const Config& c, const Params<T>& p, MatrixArg<T> x, Cache<T>& cache,
                      Ctx& ctx, Assign&& assign) {
    const Index rows = x.rows();
    Matrix<T> rest = encode(c, p, x, cache, ctx);
    cache.codes = ctx.template take<std::int32_t>(rows, c.levels);
    cache.quantised = ctx.template take<T>(rows, c.latent);
    fill(ctx, cache.quantised, T(0));
    cache.residuals.clear();
    const Vector<std::int32_t> chosen = ctx.template take<std::int32_t>(rows);
    Loss loss;
    for (Index l = 0; l < c.levels; ++l) {
      const Matrix<T> codebook = p.codebooks[static_cast<std::size_t>(l)];
      cache.residuals.push_back(rest);
      assign(l, MatrixArg<T>(rest), MatrixArg<T>(codebook), chosen);
      const Matrix<T> next = ctx.template take<T>(rows, c.latent);
      double squares = 0;
      for (Index row = 0; row < rows; ++row) {
        cache.codes(row, l) = chosen[row];
        const T* const code = codebook.row(chosen[row]).data();
        T* const sum = cache.quantised.row(row).data();
        for (Index k = 0; k < c.latent; ++k) {
          const T gap = rest(row, k) - code[k];
          next(row, k) = gap;
          sum[k] += code[k];
          squares += static_cast<double>(gap) * static_cast<double>(gap);
        }
      }
      rest = next;
      loss.levels.push_back(squares / static_cast<double>(rest.size()) *
                            ((c.learn_codebooks ? 1 : 0) + c.beta));
    }
    cache.decoded = ReluLayers::forward(c.decoder(), p.decoder, MatrixArg<T>(cache.quantised),
                                        cache.decoder, ctx);
    for (Index i = 0; i < x.size(); ++i) {
      const auto gap = static_cast<double>(cache.decoded.data()[i] - x.data()[i]);
      loss.reconstruction += gap * gap / static_cast<double>(x.size());
    }
    loss.total = loss.reconstruction;
    for (const double level : loss.levels) {
      loss.total += c.weight / static_cast<double>(c.levels) * level;
    }
    return loss;
  }

  // forward: y = decoder(q(z)), with the estimator's dz for d(Σ q_l).
  // dq_l = 2 w (q_l - r_l) / size;  dr_l = 2 w beta (r_l - q_l) / size, passed on to z by the first
  // level, or by all: r_l = z - constants.   w = weight / levels, size = rows · latent
  //
  /// @param dquantised  [rows, latent], gradient of further terms at Σ q_l, or empty
  /// @return            dx through the encoder (the target of the reconstruction is a constant)
  template <class T, class Ctx>
  static Matrix<T> backward(const Config& c, const Params<T>& p, const Params<T>& grad,
                            const Cache<T>& cache, Ctx& ctx, MatrixArg<T> dquantised = {}) {
    const Index rows = cache.x.rows();
    const Matrix<T> dy = ctx.template take<T>(rows, c.in);
    for (Index i = 0; i < dy.size(); ++i) {
      dy.data()[i] = 2 * (cache.decoded.data()[i] - cache.x.data()[i]) / static_cast<T>(dy.size());
    }
    const Matrix<T> dz =
        ReluLayers::backward(c.decoder(), p.decoder, grad.decoder, dy, cache.decoder, ctx);
    if (!dquantised.empty()) {
      copy(ctx, dquantised, dz, Write::add);
    }
    if (c.estimator == Estimator::rotation) {
      for (Index row = 0; row < rows; ++row) {
        turn_back(VectorArg<T>(cache.residuals.front().row(row)),
                  VectorArg<T>(cache.quantised.row(row)), dz.row(row));
      }
    }
    const T pull = static_cast<T>(2 * c.weight / static_cast<double>(c.levels * dz.size()));
    for (Index l = 0; l < c.levels; ++l) {
      const auto level = static_cast<std::size_t>(l);
      const bool commits = l == 0 || c.commitment == Commitment::all_levels;
      for (Index row = 0; row < rows; ++row) {
        const std::int32_t code = cache.codes(row, l);
        const T* const q = p.codebooks[level].row(code).data();
        const T* const r = cache.residuals[level].row(row).data();
        for (Index k = 0; k < c.latent; ++k) {
          const T gap = pull * (q[k] - r[k]);
          if (c.learn_codebooks) {
            grad.codebooks[level](code, k) += gap;
          }
          if (commits) {
            dz(row, k) -= static_cast<T>(c.beta) * gap;
          }
        }
      }
    }
    return ReluLayers::backward(c.encoder(), p.encoder, grad.encoder, dz, cache.encoder, ctx);
  }

private:
  // q = |q| / |z| R z,  R = I - 2 w w' + 2 q^ z^',  w = (z^ + q^) / |z^ + q^|, all held constant:
  // g := |q| / |z| R' g = |q| / |z| (g - 2 w (w · g) + 2 z^ (q^ · g))
  template <class T>
  static void turn_back(VectorArg<T> z, VectorArg<T> q, Vector<T> g) {
    T zz = 0, qq = 0;
    for (Index k = 0; k < z.size(); ++k) {
      zz += z[k] * z[k];
      qq += q[k] * q[k];
    }
    const T z_length = std::sqrt(zz), q_length = std::sqrt(qq);
    if (!(z_length > T(1e-12)) || !(q_length > T(1e-12))) {
      return;  // no direction to turn from or to
    }
    T ww = 0, wg = 0, qg = 0;
    for (Index k = 0; k < z.size(); ++k) {
      const T w = z[k] / z_length + q[k] / q_length;
      ww += w * w;
      wg += w * g[k];
      qg += q[k] / q_length * g[k];
    }
    const T mirror = ww > T(1e-12) ? 2 * wg / ww : T(0);
    for (Index k = 0; k < z.size(); ++k) {
      const T z_hat = z[k] / z_length, w = z_hat + q[k] / q_length;
      g[k] = q_length / z_length * (g[k] - mirror * w + 2 * z_hat * qg);
    }
  }
};

/// The nearest code of every row; ties to the lower code.
///
/// Shapes  rows [count, latent];  codebook [codes, latent];  chosen [count]
struct NearestCode {
  template <class T, class Ctx>
  static void assign(Ctx& ctx, MatrixArg<T> rows, MatrixArg<T> codebook,
                     Vector<std::int32_t> chosen) {
    const Arena::Scope scope(ctx.arena);
    const Matrix<T> scores = ctx.template take<T>(rows.rows(), codebook.rows());
    const Vector<T> half = ctx.template take<T>(codebook.rows());
    cpu::gemm_nt<T>(ctx, rows, codebook, scores, Write::assign);
    for (Index code = 0; code < codebook.rows(); ++code) {
      half[code] = 0;
      for (const T value : codebook.row(code)) { half[code] += value * value / 2; }
    }
    for (Index row = 0; row < rows.rows(); ++row) {
      T best = scores(row, 0) - half[0];
      chosen[row] = 0;
      for (Index code = 1; code < codebook.rows(); ++code) {
        const T score = scores(row, code) - half[code];
        if (score > best) {
          best = score;
          chosen[row] = static_cast<std::int32_t>(code);
        }
      }
    }
  }
};

}  // namespace simgr::SIMGR_ABI::tokenizer
