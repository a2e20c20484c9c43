// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <type_traits>

#include <simgr/task.hpp>
#include <simgr/train/neighbour_tasks.hpp>
#include <simgr/train/prompt_tasks.hpp>

// Tasks besides the next item, as a trainer sees them:
//
//   Tasks(model, sequences, options)                what they read must outlive them
//   begin_epoch(epoch)
//   fill(first, last, all, batch, ctx)              -> tokens that the examples of a shard predict
//   add(grads, shared, into, next, batch, weight, cache, ctx)  -> their losses; adds the gradients
//
// All tokens of a batch are one mean, whatever they are of, and a task's weight is no part of what
// they are divided by:
//
//   loss = Σ_tokens weight of its task · cross-entropy / number of tokens
//
// Source  IIRG (arXiv 2606.17276)

namespace simgr::SIMGR_ABI::train {

/// Where the next item is all that is learnt.
struct NoTasks {
  struct Cache {};
  struct Batch {};
};

namespace detail {

template <class Model, class Mix, class... Kept>
struct TasksOf;
template <class Model>
struct TasksOf<Model, TaskMix<>> {
  using Type = NoTasks;
};
template <class Model, class First, class... Rest, class... Kept>
struct TasksOf<Model, TaskMix<First, Rest...>, Kept...>
    : std::conditional_t<std::is_same_v<First, NextItem>, TasksOf<Model, TaskMix<Rest...>, Kept...>,
                         TasksOf<Model, TaskMix<Rest...>, Kept..., First>> {};
template <class Model, class One, class... Kept>
struct TasksOf<Model, TaskMix<>, One, Kept...> {
  using Type =
      typename std::conditional_t<Model::Parts::reads_prompts,
                                  std::type_identity<PromptTasks<Model, One, Kept...>>,
                                  std::type_identity<NeighbourTasks<Model, One, Kept...>>>::type;
};

}  // namespace detail

/// What of the tasks of a model is learnt besides the next item.
template <class Model>
using TasksFor = typename detail::TasksOf<Model, typename Model::TasksType>::Type;

}  // namespace simgr::SIMGR_ABI::train
