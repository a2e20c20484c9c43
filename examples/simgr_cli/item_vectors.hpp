// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include <simgr_cli/data_folder.hpp>

namespace simgr_cli {

/// Whether items occur in the training part, [items].
std::vector<bool> trained_items(const DataFolder& folder);

/// Vectors of items that a model was trained to have: an .npy[.gz], or the table of a file of
/// `simgr fit sasrec`, whose rows of items that it was not trained with are zero. Warns where that
/// model was fitted on other data.
///
/// @param width  that they must have; 0: any
///
/// Errors  simgr::Error: unreadable, another number of items or width, a model without a table
simgr::OwnedMatrix<float> item_vectors_of(const DataFolder& folder, const std::string& file,
                                          simgr::Index width = 0);

}  // namespace simgr_cli
