// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <simgr/core/fields.hpp>
#include <simgr/tokenizer/kmeans.hpp>
#include <simgr/tokenizer/resolve_collisions.hpp>

namespace simgr::SIMGR_ABI::tokenizer {

/// A tree of clusters: the digits of an id are the way from the root to a leaf, so that a digit has
/// no meaning without those before it.
struct HierarchicalQuantizer {
  struct Node {
    OwnedMatrix<float> centroids;  // [as many codes as are taken, width]
    std::vector<Index> children;   // [codes taken], places in `nodes`; empty on the last level
  };
  std::vector<Node> nodes;  // the root first
  Index depth = 0, codes = 0;

  Index levels() const noexcept { return depth; }
  Index width() const noexcept { return nodes.empty() ? 0 : nodes.front().centroids.cols; }
  std::vector<Index> codes_per_level() const {
    return std::vector<Index>(static_cast<std::size_t>(depth), codes);
  }

  /// Codes [rows, levels] of vectors [rows, width]: the nearest child at every node.
  ///
  /// Cost    O(rows · levels · codes · width)
  /// Errors  DataError: rows that are not finite;  ShapeError: rows of another width
  template <class E = Serial>
    requires Executor<std::remove_reference_t<E>> OwnedMatrix<std::int32_t>
    encode(MatrixArg<float> vectors, E&& executor = E{})
  const {
    check_vectors(vectors);
    if (vectors.cols() != width()) {
      SIMGR_THROW(ShapeError("vectors: expected width " + std::to_string(width()) + ", found " +
                             std::to_string(vectors.cols())));
    }
    OwnedMatrix<std::int32_t> found(vectors.rows(), depth);
    const Index shards = std::min<Index>(vectors.rows(), 16);
    executor.for_each(shards, [&](Index shard) {
      for (Index row = vectors.rows() * shard / shards; row < vectors.rows() * (shard + 1) / shards;
           ++row) {
        const Node* node = nodes.data();
        for (Index level = 0; level < depth; ++level) {
          Index nearest = 0;
          float least = squared_distance(vectors.row(row), node->centroids.view().row(0));
          for (Index code = 1; code < node->centroids.rows; ++code) {
            const float distance =
                squared_distance(vectors.row(row), node->centroids.view().row(code));
            if (distance < least) {
              least = distance;
              nearest = code;
            }
          }
          found.view()(row, level) = static_cast<std::int32_t>(nearest);
          if (level + 1 < depth) {
            node =
                &nodes[static_cast<std::size_t>(node->children[static_cast<std::size_t>(nearest)])];
          }
        }
      }
    });
    return found;
  }

  /// Squared distances to the codes below a prefix. Codes that nobody took are as far as the
  /// farthest that is taken, and come after it; below them all codes are alike.
  void distances(std::span<const std::int32_t> prefix, Vector<float> rest,
                 std::vector<float>& found) const {
    found.assign(static_cast<std::size_t>(codes), 0.0f);
    const Node* node = nodes.data();
    for (const std::int32_t code : prefix) {
      if (code >= std::ssize(node->children)) {
        return;
      }
      node = &nodes[static_cast<std::size_t>(node->children[static_cast<std::size_t>(code)])];
    }
    float farthest = 0;
    for (Index code = 0; code < node->centroids.rows; ++code) {
      const float distance = squared_distance(rest, node->centroids.view().row(code));
      found[static_cast<std::size_t>(code)] = distance;
      farthest = std::max(farthest, distance);
    }
    std::fill(found.begin() + node->centroids.rows, found.end(), farthest);
  }
  /// A tree leaves nothing over: every level looks at the vector itself.
  void leave_over(std::span<const std::int32_t>, std::int32_t, Vector<float>) const noexcept {}
};

/// Numbers of hierarchical k-means, checked by it.
struct HierarchicalKMeansConfig {
  Index levels = 4;
  Index codes = 16;
  Index iterations = 20;
  std::uint64_t seed = 1;
  Collision collision = Collision::digit;

  template <class F, class C>
  static void for_each_field(C& c, F&& f) {
    f(Field{"levels", 1, 64, "digits of an id, the disambiguation digit not counted"}, c.levels);
    f(Field{"codes", 1, 1 << 20, "parts of a cluster"}, c.codes);
    f(Field{"iterations", 0, 1e6, "Lloyd iterations of a cluster"}, c.iterations);
    f(Field{"seed", 0, 1.9e19, "seed of the k-means++ draws"}, c.seed);
    f(Field{"collision", 0, 4, "items of one id stay, get one digit more, or move"}, c.collision);
  }
};

/// What hierarchical k-means found.
struct HierarchicalKMeans {
  HierarchicalQuantizer quantizer;
  SemanticIds ids;  // [items, levels], collisions kept
};

/// Hierarchical k-means: the items of every cluster are clustered again, level by level.
///
/// Shapes   vectors [items, width] → a tree, ids [items, levels]
/// Cost     O(levels · iterations · items · codes · width) in products at most; memory: levels copies
///          of the vectors at most, a node has no more centroids than items
/// Results  a pure function of vectors and config: the same bits on any executor
/// Errors   ConfigError: a setting out of range;  DataError: a row that is not finite
/// Source   Tay et al., "Transformer memory as a differentiable search index", 2022, section 3.2
template <class E = Serial>
  requires Executor<std::remove_reference_t<E>> HierarchicalKMeans fit_hierarchical_kmeans(
      MatrixArg<float> vectors, const HierarchicalKMeansConfig& config = {}, E&& executor = E{}) {
    if (const std::string sentence = out_of_range(config); !sentence.empty()) {
      SIMGR_THROW(ConfigError(sentence));
    }
    check_vectors(vectors);
    HierarchicalKMeans found;
    found.quantizer.depth = config.levels;
    found.quantizer.codes = config.codes;
    found.ids.codes = OwnedMatrix<std::int32_t>(vectors.rows(), config.levels);
    found.ids.codes_per_digit = found.quantizer.codes_per_level();
    std::vector<std::vector<Index>> open(1);  // rows of the nodes of this level, in their order
    for (Index row = 0; row < vectors.rows(); ++row) { open[0].push_back(row); }
    found.quantizer.nodes.resize(1);
    Index first = 0;  // place of open[0]
    for (Index level = 0; level < config.levels; ++level) {
      std::vector<std::vector<Index>> next;
      const Index below = std::ssize(found.quantizer.nodes);
      for (std::size_t n = 0; n < open.size(); ++n) {
        const std::vector<Index>& rows = open[n];
        OwnedMatrix<float> part(std::ssize(rows), vectors.cols());
        for (std::size_t i = 0; i < rows.size(); ++i) {
          std::copy_n(vectors.row(rows[i]).begin(), vectors.cols(),
                      part.view().row(static_cast<Index>(i)).begin());
        }
        const Index place = first + static_cast<Index>(n);
        KMeans step = kmeans(part,
                             {.codes = std::min(config.codes, std::ssize(rows)),
                              .iterations = config.iterations,
                              .seed = config.seed,
                              .stream = static_cast<std::uint64_t>(place)},
                             {}, executor);
        std::vector<Index> names(static_cast<std::size_t>(step.centroids.rows), -1);
        std::vector<std::vector<Index>> members;
        HierarchicalQuantizer::Node node;
        for (std::size_t i = 0; i < rows.size(); ++i) {  // codes that serve nobody drop out
          Index& name = names[static_cast<std::size_t>(step.labels[i])];
          if (name < 0) {
            name = std::ssize(members);
            members.emplace_back();
            const auto centroid = step.centroids.view().row(step.labels[i]);
            node.centroids.values.insert(node.centroids.values.end(), centroid.begin(),
                                         centroid.end());
          }
          members[static_cast<std::size_t>(name)].push_back(rows[i]);
          found.ids.codes.view()(rows[i], level) = static_cast<std::int32_t>(name);
        }
        node.centroids.rows = std::ssize(members);
        node.centroids.cols = vectors.cols();
        for (std::vector<Index>& group : members) {
          if (level + 1 < config.levels) {
            node.children.push_back(below + std::ssize(next));
            next.push_back(std::move(group));
          }
        }
        found.quantizer.nodes[static_cast<std::size_t>(place)] = std::move(node);
      }
      found.quantizer.nodes.resize(static_cast<std::size_t>(below) + next.size());
      first = below;
      open = std::move(next);
    }
    return found;
  }

}  // namespace simgr::SIMGR_ABI::tokenizer
