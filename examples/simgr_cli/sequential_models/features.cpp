// SPDX-License-Identifier: Apache-2.0
#include <simgr_cli/adaptor.hpp>

#include <simgr/baselines/fdsa.hpp>
#include <simgr/baselines/s3rec.hpp>

// Traditional sequential models that read what is known of items.

namespace simgr_cli {

using namespace simgr::baselines;

template <>
struct StageBefore<S3Rec> {
  simgr::train::PretrainOptions pretraining = s3rec_pretraining;

  template <class F, class C>
  static void for_each_field(C& c, F&& f) {
    simgr::fields_of("pretraining", c.pretraining, f);
  }
  static constexpr bool wanted() { return true; }
  void run(S3Rec& model, const Beginning& given, simgr::cpu::ThreadPool& pool) const {
    simgr::train::PretrainOptions options = pretraining;
    options.seed = given.seed;
    simgr::train::pretrain(model, given.attributes, given.split, options, epochs_of("pre-training"),
                           pool, given.file);
  }
};

namespace {

ModelKind s3rec() {
  ModelKind kind = kind_of<S3Rec>(
      17, "s3rec", "pre-trained by attributes, hidden items and segments; then as sasrec-bce",
      s3rec_defaults);
  kind.needs.attributes = true;
  return kind;
}

const bool streams = add_kind_beside_quickstart(kind_of<Fdsa>(
    16, "fdsa", "self-attention over items and, apart, over the vectors of their texts",
    fdsa_defaults));

const bool pretrained = add_kind_beside_quickstart(s3rec());

}  // namespace
}  // namespace simgr_cli
