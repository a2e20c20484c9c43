// SPDX-License-Identifier: Apache-2.0
#pragma once

// The CPU backend whole: what a translation unit includes that instantiates layers.

#include <simgr/cpu/activation.hpp>
#include <simgr/cpu/attention.hpp>
#include <simgr/cpu/catalogue_softmax.hpp>
#include <simgr/cpu/circular_filter.hpp>
#include <simgr/cpu/context.hpp>
#include <simgr/cpu/cross_attention.hpp>
#include <simgr/cpu/elementwise.hpp>
#include <simgr/cpu/gather.hpp>
#include <simgr/cpu/gemm.hpp>
#include <simgr/cpu/narrow_products.hpp>
#include <simgr/cpu/norm.hpp>
#include <simgr/cpu/pointwise_attention.hpp>
#include <simgr/cpu/recurrent.hpp>
#include <simgr/cpu/rotary.hpp>
#include <simgr/cpu/segment.hpp>
#include <simgr/cpu/softmax.hpp>
#include <simgr/cpu/tree_attention.hpp>
#include <simgr/cpu/window_convolution.hpp>

#if defined(SIMGR_EXTERN_KERNELS) || defined(SIMGR_DEFINE_KERNELS)
#include <simgr/cpu/compiled.hpp>
#endif
