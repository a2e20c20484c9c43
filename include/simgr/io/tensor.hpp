// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <bit>  // std::endian
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>  // std::in_range
#include <vector>

#include <simgr/core/error.hpp>
#include <simgr/core/float_formats.hpp>
#include <simgr/core/types.hpp>

namespace simgr::SIMGR_ABI::io {

static_assert(std::endian::native == std::endian::little, "simgr: files are little-endian");

/// Element types of tensor files, by their names in safetensors.
enum class Dtype { boolean, u8, i8, u16, i16, f16, bf16, u32, i32, f32, u64, i64, f64 };

/// An element type, its name in files, and its size.
struct DtypeFacts {
  Dtype dtype;
  std::string_view name;
  Index bytes;
};

inline constexpr DtypeFacts dtype_facts[] = {
    {Dtype::boolean, "BOOL", 1}, {Dtype::u8, "U8", 1},   {Dtype::i8, "I8", 1},
    {Dtype::u16, "U16", 2},      {Dtype::i16, "I16", 2}, {Dtype::f16, "F16", 2},
    {Dtype::bf16, "BF16", 2},    {Dtype::u32, "U32", 4}, {Dtype::i32, "I32", 4},
    {Dtype::f32, "F32", 4},      {Dtype::u64, "U64", 8}, {Dtype::i64, "I64", 8},
    {Dtype::f64, "F64", 8},
};

constexpr std::string_view name_of(Dtype dtype) noexcept {
  return dtype_facts[static_cast<std::size_t>(dtype)].name;
}
constexpr Index bytes_of(Dtype dtype) noexcept {
  return dtype_facts[static_cast<std::size_t>(dtype)].bytes;
}

/// The file type that holds a C++ type as it stands. std::byte is U8.
template <class T>
constexpr Dtype dtype_of() noexcept {
  using V = std::remove_cv_t<T>;
  if constexpr (std::is_same_v<V, bool>) {
    return Dtype::boolean;
  } else if constexpr (std::is_same_v<V, std::byte>) {
    return Dtype::u8;
  } else if constexpr (std::is_same_v<V, float>) {
    return Dtype::f32;
  } else if constexpr (std::is_same_v<V, double>) {
    return Dtype::f64;
  } else if constexpr (std::is_same_v<V, BFloat16>) {
    return Dtype::bf16;
  } else {
    static_assert(std::is_integral_v<V>, "simgr: tensor files hold numbers, bool and std::byte");
    constexpr bool sign = std::is_signed_v<V>;
    return sizeof(V) == 1   ? (sign ? Dtype::i8 : Dtype::u8)
           : sizeof(V) == 2 ? (sign ? Dtype::i16 : Dtype::u16)
           : sizeof(V) == 4 ? (sign ? Dtype::i32 : Dtype::u32)
                            : (sign ? Dtype::i64 : Dtype::u64);
  }
}

/// "[12101, 64]"
inline std::string shape_text(std::span<const Index> shape) {
  std::string text = "[";
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    text += (axis > 0 ? ", " : "") + std::to_string(shape[axis]);
  }
  return text + "]";
}

/// A tensor of a file: name, type, shape, and bytes that somebody else owns, aligned or not.
struct TensorView {
  std::string name;
  Dtype dtype = Dtype::f32;
  std::vector<Index> shape;
  std::span<const std::byte> bytes;

  Index size() const noexcept { return static_cast<Index>(bytes.size()) / bytes_of(dtype); }
};

namespace detail {

template <class Stored, class T>
bool convert_elements(std::span<const std::byte> bytes, T* out) noexcept {
  const std::size_t count = bytes.size() / sizeof(Stored);
  if constexpr (std::is_same_v<Stored, T>) {
    if (count > 0) {
      std::memcpy(out, bytes.data(), bytes.size());
    }
    return true;
  } else {
    for (std::size_t i = 0; i < count; ++i) {
      Stored stored;
      std::memcpy(&stored, bytes.data() + i * sizeof(Stored), sizeof(Stored));
      if constexpr (std::is_integral_v<Stored> && std::is_integral_v<T>) {
        if (!std::in_range<T>(stored)) {
          return false;
        }
      }
      if constexpr (std::is_same_v<Stored, double> && std::is_same_v<T, float>) {
        out[i] = float_from_double(stored);
      } else {
        out[i] = static_cast<T>(stored);
      }
    }
    return true;
  }
}

template <class T, class Widen>
void widen_elements(std::span<const std::byte> bytes, T* out, Widen&& widen) noexcept {
  for (std::size_t i = 0; i < bytes.size() / 2; ++i) {
    std::uint16_t stored;
    std::memcpy(&stored, bytes.data() + i * 2, 2);
    out[i] = static_cast<T>(widen(stored));
  }
}

}  // namespace detail

/// Copies the elements of `tensor` to `out` [size] as T: float or double from every type, an
/// integer from integers and booleans. float from U32, I32, F64, I64 or U64 and double from I64 or
/// U64 round, beyond the range of float to infinity; everything else is exact.
///
/// Errors  DataError naming the tensor: fractions asked as integers, or an integer T cannot hold
template <class T>
Failure convert(const TensorView& tensor, T* out, const std::string& file = {}) {
  static_assert(std::is_arithmetic_v<T> && !std::is_same_v<T, bool>,
                "simgr: read a tensor as float, double or an integer type");
  const auto from = [&]<class Stored>(Stored) -> Failure {
    if constexpr (std::is_floating_point_v<Stored> && std::is_integral_v<T>) {
      return DataError("expected integers, found " + std::string(name_of(tensor.dtype)),
                       {.file = file, .field = tensor.name});
    } else {
      if (!detail::convert_elements<Stored>(tensor.bytes, out)) {
        return DataError("an integer of the " + std::string(name_of(tensor.dtype)) +
                             " tensor does not fit into " + std::string(name_of(dtype_of<T>())),
                         {.file = file, .field = tensor.name});
      }
      return std::nullopt;
    }
  };
  switch (tensor.dtype) {
  case Dtype::boolean:
  case Dtype::u8:
    return from(std::uint8_t{});
  case Dtype::i8:
    return from(std::int8_t{});
  case Dtype::u16:
    return from(std::uint16_t{});
  case Dtype::i16:
    return from(std::int16_t{});
  case Dtype::u32:
    return from(std::uint32_t{});
  case Dtype::i32:
    return from(std::int32_t{});
  case Dtype::u64:
    return from(std::uint64_t{});
  case Dtype::i64:
    return from(std::int64_t{});
  case Dtype::f32:
    return from(float{});
  case Dtype::f64:
    return from(double{});
  case Dtype::f16:
  case Dtype::bf16:
    break;
  }
  if constexpr (std::is_floating_point_v<T>) {
    detail::widen_elements(tensor.bytes, out,
                           tensor.dtype == Dtype::f16 ? &float_from_f16 : &float_from_bf16);
    return std::nullopt;
  } else {
    return from(float{});
  }
}
/// The same as BFloat16: those of BF16 as they stand, others rounded to nearest.
inline Failure convert(const TensorView& tensor, BFloat16* out, const std::string& file = {}) {
  if (tensor.dtype == Dtype::bf16) {
    return detail::convert_elements<BFloat16>(tensor.bytes, out), std::nullopt;
  }
  const auto size = static_cast<std::size_t>(bytes_of(tensor.dtype));
  TensorView part = tensor;
  float wide[1024];
  for (std::size_t at = 0; at < tensor.bytes.size(); at += part.bytes.size()) {
    part.bytes =
        tensor.bytes.subspan(at, std::min(std::size(wide) * size, tensor.bytes.size() - at));
    if (Failure failure = convert(part, wide, file)) {
      return failure;
    }
    for (Index i = 0; i < part.size(); ++i) { (out++)->bits = bf16_from_float(wide[i]); }
  }
  return std::nullopt;
}

/// The first element of an F32, F16 or BF16 tensor that is not finite, or -1.
inline Index first_not_finite(const TensorView& tensor) noexcept {
  const auto search = [&]<class Bits>(Bits exponent) -> Index {
    constexpr Index together = 4096;
    const Index count = tensor.size();
    for (Index begin = 0; begin < count; begin += together) {
      const Index end = std::min(begin + together, count);
      Bits any = 0;
      for (Index i = begin; i < end; ++i) {  // without a branch
        Bits bits;
        std::memcpy(&bits, tensor.bytes.data() + static_cast<std::size_t>(i) * sizeof bits,
                    sizeof bits);
        any = static_cast<Bits>(any | ((bits & exponent) == exponent));
      }
      for (Index i = begin; any != 0 && i < end; ++i) {
        Bits bits;
        std::memcpy(&bits, tensor.bytes.data() + static_cast<std::size_t>(i) * sizeof bits,
                    sizeof bits);
        if ((bits & exponent) == exponent) {
          return i;
        }
      }
    }
    return -1;
  };
  switch (tensor.dtype) {
  case Dtype::f32:
    return search(std::uint32_t{0x7f800000});
  case Dtype::bf16:
    return search(std::uint16_t{0x7f80});
  default:
    return search(std::uint16_t{0x7c00});
  }
}

}  // namespace simgr::SIMGR_ABI::io
