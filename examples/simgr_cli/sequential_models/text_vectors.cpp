// SPDX-License-Identifier: Apache-2.0
#include <simgr_cli/adaptor.hpp>

#include <simgr/baselines/unisrec.hpp>

// Models whose items are read from the vectors of their texts.

namespace simgr_cli {

using namespace simgr::baselines;

template <>
struct StageBefore<UniSRec> {
  simgr::train::ContrastOptions pretraining = unisrec_pretraining;
  std::string from{};  // a model file of other items

  template <class F, class C>
  static void for_each_field(C& c, F&& f) {
    simgr::fields_of("pretraining", c.pretraining, f);
    f(simgr::Field{.name = "pretraining.from",
                   .meaning =
                       "a model file of other items whose weights pre-training goes on from"},
      c.from);
  }
  bool wanted() const { return pretraining.epochs > 0 || !from.empty(); }
  void run(UniSRec& model, const Beginning& given, simgr::cpu::ThreadPool& pool) const {
    if (!from.empty()) {
      simgr::train::begin_with(model, UniSRec::load(from));
    }
    simgr::train::ContrastOptions options = pretraining;
    options.seed = given.seed;
    simgr::train::pretrain(model, given.split, options, epochs_of("pre-training"), pool,
                           given.file);
  }
};

namespace {

const bool mixture = add_kind_beside_quickstart(kind_of<UniSRec>(
    18, "unisrec", "items are mixtures of maps of their texts' vectors; pre-trained where asked",
    unisrec_defaults));

}  // namespace
}  // namespace simgr_cli
