// SPDX-License-Identifier: Apache-2.0
// expect: simgr: TrieBeam, FreeBeam and ExactTokenScores rank what EveryDigit predicts digit by digit
#include <simgr/baselines/lc_rec.hpp>

using namespace simgr;

with_ranker<baselines::LcRec, ranker::Exhaustive>::Config config;
