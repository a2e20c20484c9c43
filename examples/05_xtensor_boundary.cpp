// SPDX-License-Identifier: Apache-2.0
// xtensor outside, views inside: text vectors in, semantic ids and scores out.

#include <cstdint>
#include <cstdio>

#include <simgr/interop/xtensor.hpp>

#if __has_include(<xtensor/core/xmath.hpp>)
#include <xtensor/core/xmath.hpp>
#include <xtensor/generators/xrandom.hpp>
#include <xtensor/misc/xsort.hpp>
#else
#include <xtensor/xmath.hpp>
#include <xtensor/xrandom.hpp>
#include <xtensor/xsort.hpp>
#endif

#include <simgr/baselines/simgr.hpp>
#include <simgr/tokenizer/residual_kmeans.hpp>

int main() {
  namespace interop = simgr::interop;

  // What a sentence encoder gave you, centred with the arithmetic you know from NumPy.
  xt::xtensor<float, 2> vectors = xt::random::randn<float>({300, 24});
  vectors -= xt::eval(xt::mean(vectors, {0}));

  const auto ids =
      simgr::tokenizer::residual_kmeans(interop::as_view(vectors), {.levels = 2, .codes = 16});
  const auto codes = interop::as_xtensor(ids.codes);  // [items, digits], the same memory
  std::printf("%zu items of %zu digits; item 0 begins with code %d\n", codes.shape()[0],
              codes.shape()[1], codes(0, 0));
  interop::write_npy("codes.npy", ids.codes.view());  // np.load("codes.npy")

  const simgr::baselines::SimGr model({.ids = ids},
                                      {.encoder = {.width = 16, .layers = 1, .heads = 1}});
  simgr::Ragged<simgr::ItemId> histories;
  histories.push_back(std::vector<simgr::ItemId>{1, 2, 3});
  histories.push_back(std::vector<simgr::ItemId>{4});
  xt::xtensor<float, 2> scores = xt::empty<float>({2, 300});
  model.score(histories, interop::as_view(scores));
  const auto best = xt::argmax(scores, 1);
  std::printf("untrained favourites: %zu and %zu\n", best(0), best(1));
  return 0;
}
