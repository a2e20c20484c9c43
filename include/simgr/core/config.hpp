// SPDX-License-Identifier: Apache-2.0
#pragma once

// Every macro of the library. A host may define, before the first include and the same in every
// translation unit:
//
//   SIMGR_CHECKED          checks internal preconditions (tests do)
//   SIMGR_ASSERT(c, text)  replaces the check itself
//
// Settings that change generated code are part of the name of the inline namespace SIMGR_ABI, so
// two settings in one program are two sets of symbols and cannot be merged by the linker.
// `namespace simgr::SIMGR_ABI {` opens it.

#include <cstdio>
#include <cstdlib>

#define SIMGR_JOIN_(a, b, c, d, e, f) a##b##c##d##e##f
#define SIMGR_JOIN(a, b, c, d, e, f) SIMGR_JOIN_(a, b, c, d, e, f)

#if defined(__AMX_TILE__) && defined(__AMX_BF16__) && defined(__AVX512BF16__) && defined(__linux__)
#define SIMGR_HAS_TILES 1
#else
#define SIMGR_HAS_TILES 0
#endif

#if SIMGR_HAS_TILES
#define SIMGR_ABI_SIMD _amx
#elif defined(__AVX512VBMI2__) && defined(__AVX512BW__)
#define SIMGR_ABI_SIMD _avx512vbmi2
#elif defined(__AVX512F__)
#define SIMGR_ABI_SIMD _avx512
#elif defined(__AVX2__)
#define SIMGR_ABI_SIMD _avx2
#elif defined(__AVX__)
#define SIMGR_ABI_SIMD _avx
#elif defined(__SSE4_1__)
#define SIMGR_ABI_SIMD _sse4
#else
#define SIMGR_ABI_SIMD
#endif

#if defined(__PCLMUL__) && defined(__VPCLMULQDQ__)
#define SIMGR_ABI_CLMUL _vclmul
#elif defined(__PCLMUL__)
#define SIMGR_ABI_CLMUL _clmul
#else
#define SIMGR_ABI_CLMUL
#endif

#if defined(SIMGR_CHECKED)
#define SIMGR_ABI_CHECKED _checked
#else
#define SIMGR_ABI_CHECKED
#endif

#if defined(__cpp_exceptions)
#define SIMGR_ABI_ERRORS
#else
#define SIMGR_ABI_ERRORS _noexcept
#endif

#if defined(SIMGR_ISAL)
#define SIMGR_ABI_INFLATER _isal
#else
#define SIMGR_ABI_INFLATER
#endif

#define SIMGR_ABI                                                                                  \
  inline SIMGR_JOIN(v0, SIMGR_ABI_SIMD, SIMGR_ABI_CLMUL, SIMGR_ABI_CHECKED, SIMGR_ABI_ERRORS,      \
                    SIMGR_ABI_INFLATER)

namespace simgr::SIMGR_ABI {

/// Prints `text` on standard error and aborts: the end of a broken invariant, and of a throw where
/// there are no exceptions.
[[noreturn]] inline void stop(const char* text) noexcept {
  std::fprintf(stderr, "simgr: %s\n", text);
  std::abort();
}

}  // namespace simgr::SIMGR_ABI

#if !defined(SIMGR_ASSERT)
#if defined(SIMGR_CHECKED)
#define SIMGR_ASSERT(condition, text) ((condition) ? void() : ::simgr::stop(text))
#else
#define SIMGR_ASSERT(condition, text) void()
#endif
#endif

#if defined(__cpp_exceptions)
#define SIMGR_THROW(error) throw error
#else
#define SIMGR_THROW(error) ::simgr::stop((error).what())
#endif
