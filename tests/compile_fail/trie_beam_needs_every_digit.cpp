// SPDX-License-Identifier: Apache-2.0
// expect: simgr: TrieBeam, FreeBeam and ExactTokenScores rank what EveryDigit predicts digit by digit
#include <simgr/baselines/rpg.hpp>
#include <simgr/ranker/trie_beam.hpp>

using namespace simgr;

with_ranker<baselines::Rpg, ranker::TrieBeam>::Config config;
