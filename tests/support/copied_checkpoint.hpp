// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include <simgr/io/checkpoint.hpp>

namespace simgr_test {

/// A file to be written again, but for those of its texts that `leave` names.
template <class Leave>
simgr::io::CheckpointWriter copied_checkpoint(const simgr::io::Checkpoint& file, Leave&& leave) {
  using namespace simgr;
  io::CheckpointWriter writer;
  for (const io::MetadataEntry& entry : file.texts()) {
    if (!entry.key.starts_with("simgr.crc32c") && !entry.key.starts_with("simgr.header") &&
        entry.key != "simgr.format" && !leave(entry.key)) {
      writer.set(entry.key, entry.text);
    }
  }
  for (const io::TensorView& tensor : file.tensors()) {
    const auto copy = [&]<class T>(T) {
      writer.add_copy(tensor.name, tensor.shape, std::span<const T>(file.read<T>(tensor.name)));
    };
    switch (tensor.dtype) {
    case io::Dtype::f32:
      copy(float{});
      break;
    case io::Dtype::f64:
      copy(double{});
      break;
    default:
      copy(std::int64_t{});
    }
  }
  return writer;
}

}  // namespace simgr_test
