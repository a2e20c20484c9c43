// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <type_traits>

#include <simgr/cpu/packet_products.hpp>

// What the softmax over the catalogue is made of: powers of two, and panels of scores.

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wignored-attributes"  // packets as template arguments

namespace simgr::SIMGR_ABI::cpu {

namespace detail {

template <class T>
struct SoftmaxKernels : PacketProducts<T> {
  using typename PacketProducts<T>::Packet;
  using PacketProducts<T>::lanes, PacketProducts<T>::many_registers;
  using PacketProducts<T>::load, PacketProducts<T>::store, PacketProducts<T>::splat;
  static constexpr int panel_packets = 3, panel = panel_packets * lanes;  // items a panel
  static constexpr int score_rows = many_registers ? 9 : 4;               // times 3 packets of sums

  /// 2^x to float accuracy for -126 <= x <= 126; falls to 0 at -127 and is 0 below. In double
  /// through e^x.
  ///
  ///   x = n + f, n whole, |f| <= 1/2:  2^f by a polynomial, 2^n by adding n to the exponent bits
  EIGEN_ALWAYS_INLINE static Packet power_of_two(const Packet& x) {
    if constexpr (std::is_same_v<T, float>) {
      using Bits = typename packet::unpacket_traits<Packet>::integer_packet;
      // 1.5 · 2^23: adding it rounds to a whole number in the low bits.
      const Packet magic = splat(12582912.0f);
      const Packet bounded = packet::pmax(x, splat(-127.0f));
      const Packet shifted = packet::padd(bounded, magic);
      const Packet f = packet::psub(bounded, packet::psub(shifted, magic));
      // Weighted least squares; relative error 2e-9, 1e-7 in float.
      Packet y = splat(1.53533596e-4f);
      y = packet::pmadd(y, f, splat(1.33988759e-3f));
      y = packet::pmadd(y, f, splat(9.61843738e-3f));
      y = packet::pmadd(y, f, splat(5.55033247e-2f));
      y = packet::pmadd(y, f, splat(0.240226479f));
      y = packet::pmadd(y, f, splat(0.693147203f));
      y = packet::pmadd(y, f, splat(1.0f));
      const Bits exponent = packet::plogical_shift_left<23>(packet::preinterpret<Bits>(shifted));
      return packet::preinterpret<Packet>(packet::padd(packet::preinterpret<Bits>(y), exponent));
    } else {
      return packet::pexp(packet::pmul(x, splat(T(0.6931471805599453))));
    }
  }

  /// One panel of items for M rows:
  ///
  ///   exponential  e(r, i) = 2^(q(r) · k(i) + offset(i) - shift(r));   sums(r) += e(r, ·)
  ///   else         sums(r) = max(sums(r), q(r) · k(i) + offset(i));    e is not touched
  ///
  /// where the sums of a row are kept lane by lane.
  /// q rows stand `width` apart, e rows `panel`, sums `lanes`;  keys [width, panel]
  template <int M, bool exponential>
  static void scores(const T* q, Index width, const T* keys, const T* offset, const T* shift, T* e,
                     T* sums) {
    constexpr int C = panel_packets;
    Packet sum[M * C];
    over_block<M, C>([&](Index r, Index c) __attribute__((always_inline)) {
      sum[r * C + c] = load(offset + c * lanes);
    });
    for (Index k = 0; k < width; ++k) {
      Packet key[C];
      unrolled<C>([&](Index c) __attribute__((always_inline)) {
        key[c] = load(keys + k * panel + c * lanes);
      });
      unrolled<M>([&](Index r) __attribute__((always_inline)) {
        const Packet query = splat(q[r * width + k]);
        unrolled<C>([&](Index c) __attribute__((always_inline)) {
          sum[r * C + c] = packet::pmadd(query, key[c], sum[r * C + c]);
        });
      });
    }
    unrolled<M>([&](Index r) __attribute__((always_inline)) {
      Packet total = load(sums + r * lanes);
      unrolled<C>([&](Index c) __attribute__((always_inline)) {
        if constexpr (exponential) {
          const Packet value = power_of_two(packet::psub(sum[r * C + c], splat(shift[r])));
          store(e + r * panel + c * lanes, value);
          total = packet::padd(total, value);
        } else {
          total = packet::pmax(total, sum[r * C + c]);
        }
      });
      store(sums + r * lanes, total);
    });
  }
};

}  // namespace detail

}  // namespace simgr::SIMGR_ABI::cpu

#pragma GCC diagnostic pop
