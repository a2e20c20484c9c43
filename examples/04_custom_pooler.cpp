// SPDX-License-Identifier: Apache-2.0
// A digit pooler of your own, as a type, trained: every digit has a weight.
//
//   e_i = Σ_l w_l x_il,   x_il = table[rows(i, l)]

#include <cstdio>
#include <string_view>

#include <simgr/baselines/simgr.hpp>
#include <simgr/data/split.hpp>
#include <simgr/data/synthetic_catalogue.hpp>
#include <simgr/train/trainer.hpp>

struct WeightedDigits {
  using Config = simgr::NoFields;
  using Shape = simgr::DigitShape<Config>;
  static constexpr std::string_view name = "weighted";
  template <class T, class S = simgr::Host>
  struct Params {
    simgr::Vector<T, S> weights;  // [digits]
  };
  template <class T, class S = simgr::Host>
  struct Cache {};  // nothing is kept: backward has the table and the rows again

  template <class F, class... P>
  static void for_each_parameter(const Shape& shape, F&& f, P&... p) {
    const double equal = 1.0 / static_cast<double>(shape.digits);
    f(simgr::Spec<1>{"weights", {shape.digits}, simgr::Init::constant(equal)}, p.weights...);
  }

  // table [Σ codes, width], rows [items, digits] -> vectors [items, width]
  template <class T, class S, class Ctx>
  static simgr::Matrix<T, S>
  forward(const Shape& shape, const Params<T, S>& p, simgr::MatrixArg<T, S> table,
          simgr::Matrix<const std::int32_t, S> rows, Cache<T, S>&, Ctx& ctx) {
    const simgr::Matrix<T, S> vectors = ctx.template take<T>(rows.rows(), shape.width);
    fill(ctx, vectors, T(0));
    for (simgr::Index i = 0; i < rows.rows(); ++i) {
      for (simgr::Index l = 0; l < shape.digits; ++l) {
        for (simgr::Index k = 0; k < shape.width; ++k) {
          vectors(i, k) += p.weights[l] * table(rows(i, l), k);
        }
      }
    }
    return vectors;
  }

  // Both gradients accumulate.
  template <class T, class S, class Ctx>
  static void backward(const Shape& shape, const Params<T, S>& p, const Params<T, S>& grad,
                       simgr::MatrixArg<T, S> table, simgr::Matrix<const std::int32_t, S> rows,
                       simgr::MatrixArg<T, S> dvectors, simgr::Matrix<T, S> dtable,
                       const Cache<T, S>&, Ctx&) {
    for (simgr::Index i = 0; i < rows.rows(); ++i) {
      for (simgr::Index l = 0; l < shape.digits; ++l) {
        for (simgr::Index k = 0; k < shape.width; ++k) {
          grad.weights[l] += dvectors(i, k) * table(rows(i, l), k);
          dtable(rows(i, l), k) += dvectors(i, k) * p.weights[l];
        }
      }
    }
  }
};

int main() {
  using Model = simgr::baselines::SimGrWith<WeightedDigits>;
  const auto world = simgr::data::synthetic_catalogue({.users = 500});
  Model model({.ids = world.ids}, {.encoder = {.width = 32, .layers = 1, .heads = 2}});
  model.fit(simgr::data::leave_one_out(world.interactions),
            {.epochs = 8, .batch = 32, .optimizer = {.rate = 5e-3}},
            [](const simgr::train::EpochReport& epoch) {
              std::printf("epoch %td  loss %.3f  validation NDCG@10 %.4f\n", epoch.epoch,
                          epoch.loss, epoch.validation_ndcg10.value_or(0));
            });
  const auto& weights = model.params().encoder.embedding.pooler.weights;
  std::printf("digits weigh %.3f %.3f %.3f\n", static_cast<double>(weights[0]),
              static_cast<double>(weights[1]), static_cast<double>(weights[2]));
  return 0;
}
