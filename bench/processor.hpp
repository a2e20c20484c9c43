// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ctime>  // clock_gettime

#include <simgr/cpu/eigen.hpp>

// What a measurement is held against.

namespace bench {

/// Processor time of this thread.
inline double seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

/// GFLOP/s of twelve independent sums in registers: what the core can do at most.
inline double peak() {
  using simgr::Index;
  using Packet = Eigen::internal::packet_traits<float>::type;
  constexpr Index lanes = Eigen::internal::packet_traits<float>::size, rounds = 20'000'000;
  const Packet factor = Eigen::internal::pset1<Packet>(0.9999f),
               term = Eigen::internal::pset1<Packet>(1e-3f);
  // Alike, they would be merged.
  const auto other = [](float value) { return Eigen::internal::pset1<Packet>(value); };
  Packet a = other(1), b = other(2), c = other(3), d = other(4), e = other(5), f = other(6);
  Packet g = other(7), h = other(8), i = other(9), j = other(10), k = other(11), l = other(12);
  const double start = seconds();
  for (Index round = 0; round < rounds; ++round) {
    const auto step = [&](Packet& x) { x = Eigen::internal::pmadd(x, factor, term); };
    step(a), step(b), step(c), step(d), step(e), step(f), step(g), step(h), step(i), step(j),
        step(k), step(l);
  }
  const double time = seconds() - start;
  volatile float sink = 0;
  for (const Packet& x : {a, b, c, d, e, f, g, h, i, j, k, l}) {
    sink = sink + Eigen::internal::predux(x);
  }
  return static_cast<double>(rounds * 12 * lanes * 2) / time * 1e-9;
}

}  // namespace bench
