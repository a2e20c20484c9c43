// SPDX-License-Identifier: Apache-2.0
#pragma once

// What every model needs and what costs most to compile, as explicit instantiations. A program of many files that
// defines SIMGR_EXTERN_KERNELS for all of them compiles it once, in one file more:
//
//     #define SIMGR_DEFINE_KERNELS
//     #include <simgr/simgr.hpp>
//
// cpu/cpu.hpp and data/json.hpp read the two macros. What the compiler should inline is left out. A file of the command
// line tool with three models (models/rpg.cpp, g++ 12 -O2 -march=native) takes 36 s of processor time to compile without
// and 24 s with them.

#include <simgr/core/op_tags.hpp>
#include <simgr/cpu/activation.hpp>
#include <simgr/cpu/attention.hpp>
#include <simgr/cpu/catalogue_softmax.hpp>
#include <simgr/cpu/elementwise.hpp>
#include <simgr/cpu/gemm.hpp>
#include <simgr/cpu/norm.hpp>
#include <simgr/cpu/optimizer_step.hpp>
#include <simgr/cpu/softmax.hpp>
#include <simgr/cpu/tree_attention.hpp>

#define SIMGR_MASKED_KERNELS(declared, T, Mask)                                                    \
  declared template void attention(Context&, Mask, Columns<const T>, Columns<const T>,             \
                                   Columns<const T>, Offsets, Offsets, HeadShape, MatrixArg<T>,    \
                                   float, std::uint32_t, Vector<T>, Matrix<T>) noexcept;           \
  declared template void attention(Context&, Mask, Columns<const T>, Columns<const T>,             \
                                   Columns<const T>, const Packing&, HeadShape, float,             \
                                   std::uint32_t, Vector<T>, Matrix<T>) noexcept;                  \
  declared template void attention_of_all(Context&, Mask, Columns<const T>, Columns<const T>,      \
                                          Columns<const T>, const Packing&, HeadShape,             \
                                          Matrix<T>) noexcept;

#define SIMGR_ACTIVATION_KERNELS(declared, T, F)                                                   \
  declared template void activate(Context&, F, MatrixArg<T>, Matrix<T>) noexcept;                  \
  declared template void activate_backward(Context&, F, MatrixArg<T>, MatrixArg<T>,                \
                                           Matrix<T>) noexcept;                                    \
  declared template void activate_both_ways(Context&, F, MatrixArg<T>, MatrixArg<T>, Matrix<T>,    \
                                            Matrix<T>) noexcept;

#define SIMGR_KERNELS_OF(declared, T)                                                              \
  SIMGR_MASKED_KERNELS(declared, T, Causal)                                                        \
  SIMGR_MASKED_KERNELS(declared, T, Bidirectional)                                                 \
  SIMGR_ACTIVATION_KERNELS(declared, T, Relu)                                                      \
  SIMGR_ACTIVATION_KERNELS(declared, T, GeluErf)                                                   \
  SIMGR_ACTIVATION_KERNELS(declared, T, GeluTanh)                                                  \
  declared template void attention_of_last(Context&, MatrixArg<T>, Columns<const T>,               \
                                           Columns<const T>, const Packing&, HeadShape,            \
                                           Matrix<T>) noexcept;                                    \
  declared template void attention_backward(Context&, Columns<const T>, Columns<const T>,          \
                                            Columns<const T>, Offsets, Offsets, HeadShape, float,  \
                                            std::uint32_t, VectorArg<T>, MatrixArg<T>, Columns<T>, \
                                            Columns<T>, Columns<T>, Matrix<T>) noexcept;           \
  declared template void attention_backward(Context&, Columns<const T>, Columns<const T>,          \
                                            Columns<const T>, const Packing&, HeadShape, float,    \
                                            std::uint32_t, VectorArg<T>, MatrixArg<T>, Columns<T>, \
                                            Columns<T>, Columns<T>) noexcept;                      \
  declared template void attention_of_nodes(                                                       \
      Context&, MatrixArg<T>, Columns<const T>, Columns<const T>, std::span<const Matrix<T>>,      \
      const TokenTree<>&, HeadShape, Matrix<T>, MatrixArg<T>);                                     \
  declared template void gemm_nn(Context&, MatrixArg<T>, MatrixArg<T>, Matrix<T>, Write) noexcept; \
  declared template void gemm_nt(Context&, MatrixArg<T>, MatrixArg<T>, Matrix<T>, Write) noexcept; \
  declared template void gemm_tn(Context&, MatrixArg<T>, MatrixArg<T>, Matrix<T>, Write) noexcept; \
  declared template void affine_rows(Context&, MatrixArg<T>, MatrixArg<T>, VectorArg<T>,           \
                                     Matrix<T>) noexcept;                                          \
  declared template double catalogue_cross_entropy(Context&, MatrixArg<T>, MatrixArg<T>,           \
                                                   std::span<const std::int32_t>, T, Index,        \
                                                   Matrix<T>, Matrix<T>) noexcept;                 \
  declared template void layer_norm(Context&, VectorArg<T>, VectorArg<T>, T, MatrixArg<T>,         \
                                    Matrix<T>, Vector<T>, Vector<T>) noexcept;                     \
  declared template void layer_norm_backward(Context&, VectorArg<T>, MatrixArg<T>, VectorArg<T>,   \
                                             VectorArg<T>, MatrixArg<T>, Matrix<T>, Vector<T>,     \
                                             Vector<T>) noexcept;                                  \
  declared template void log_softmax_rows(Context&, MatrixArg<T>, Matrix<T>) noexcept;             \
  declared template void log_softmax_rows_backward(Context&, MatrixArg<T>, MatrixArg<T>,           \
                                                   Matrix<T>) noexcept;                            \
  declared template void adam_step(Vector<T>, VectorArg<T>, Vector<std::type_identity_t<T>>,       \
                                   Vector<std::type_identity_t<T>>, const GradientTerms<T>&,       \
                                   const AdamTerms<T>&) noexcept;                                  \
  declared template void adagrad_step(Vector<T>, VectorArg<T>, Vector<std::type_identity_t<T>>,    \
                                      const GradientTerms<T>&, std::type_identity_t<T>,            \
                                      std::type_identity_t<T>) noexcept;                           \
  declared template void momentum_step(Vector<T>, VectorArg<T>, Vector<std::type_identity_t<T>>,   \
                                       const GradientTerms<T>&, std::type_identity_t<T>,           \
                                       std::type_identity_t<T>) noexcept;                          \
  declared template void dropout(const Context&, Vector<T>, float, std::uint32_t) noexcept;        \
  declared template void dropout(const Context&, Matrix<T>, float, std::uint32_t) noexcept;        \
  declared template void relu_dropout(const Context&, Matrix<T>, float, std::uint32_t,             \
                                      Index) noexcept;                                             \
  declared template void relu_dropout_backward(const Context&, MatrixArg<T>, float,                \
                                               Matrix<T>) noexcept;

#if defined(SIMGR_DEFINE_KERNELS)
#define SIMGR_DECLARED
#else
#define SIMGR_DECLARED extern
#endif
namespace simgr::SIMGR_ABI::cpu {
SIMGR_KERNELS_OF(SIMGR_DECLARED, float)
SIMGR_KERNELS_OF(SIMGR_DECLARED, double)
}  // namespace simgr::SIMGR_ABI::cpu
#undef SIMGR_DECLARED
#undef SIMGR_KERNELS_OF
#undef SIMGR_ACTIVATION_KERNELS
#undef SIMGR_MASKED_KERNELS
