// SPDX-License-Identifier: Apache-2.0
// expect: simgr: EveryDigit predicts an item digit by digit and needs an Encoder that spells items
#include <simgr/baselines/lc_rec.hpp>
#include <simgr/encoder/pooled_digit_embedding.hpp>

using namespace simgr;

baselines::LcRecOver<TransformerEncoder<MeanOfDigits, Causal>>::Config config;
