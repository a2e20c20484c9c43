// SPDX-License-Identifier: Apache-2.0
// expect: simgr: HybridBeam and DenseScores compare items as wholes
#include <simgr/baselines/tiger.hpp>
#include <simgr/ranker/hybrid_beam.hpp>

using namespace simgr;

with_ranker<baselines::Tiger, ranker::HybridBeam>::Config config;
