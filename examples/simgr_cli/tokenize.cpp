// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include <simgr_cli/json_line.hpp>
#include <simgr_cli/tokenizers.hpp>

#include <simgr/io/neighbours.hpp>
#include <simgr/io/semantic_ids.hpp>
#include <simgr/tokenizer/atomic_ids.hpp>
#include <simgr/tokenizer/neighbour_agreement.hpp>
#include <simgr/tokenizer/product_quantizer.hpp>
#include <simgr/tokenizer/random_ids.hpp>
#include <simgr/tokenizer/residual_kmeans.hpp>
#include <simgr/tokenizer/whitening.hpp>

namespace simgr_cli {

namespace {

/// A way to make ids.
struct Method {
  std::string name;
  bool needs_vectors = true;
  const char* collision = "digit";  // by default
  Index levels = 4;                 // by default
  std::function<Made(Request&)> make;
};

Made by_residual_kmeans(Request& request) {
  const auto config = configured<tokenizer::ResidualKMeansConfig>(request, "levels");
  auto found = tokenizer::fit_residual_kmeans(request.to_fit(), config, {}, request.pool);
  return made_by(std::move(found.quantizer), request.vectors, request.pool);
}

Made by_opq(Request& request) {
  const auto config = configured<tokenizer::ProductQuantizerConfig>(request, "digits");
  const auto found = tokenizer::fit_product_quantizer(request.to_fit(), config, request.pool);
  std::fprintf(stderr, "mean squared error %g\n", found.error.back());
  return made_by(found.quantizer.as_residual(),
                 found.quantizer.rotate(request.vectors, request.pool), request.pool);
}

/// One digit, a code for every item.
Made by_item(Request& request) {
  SemanticIds ids = tokenizer::atomic_ids(request.folder.items());
  return {ids, [ids](Collision) { return ids; }};
}

/// Ids that know nothing of the items: the control of every result with semantic ids.
Made by_chance(Request& request) {
  auto config = configured<tokenizer::RandomIdsConfig>(request, "levels");
  config.collision = Collision::keep;
  SemanticIds ids = tokenizer::random_ids(request.folder.items(), config);
  return {ids,
          [ids](Collision collision) { return tokenizer::resolve_collisions(ids, collision); }};
}

/// Ids made elsewhere.
Made from_file(Request& request) {
  SemanticIds ids = ids_of(request.folder, request.options.ids, {}, request.pool);
  return {ids,
          [ids](Collision collision) { return tokenizer::resolve_collisions(ids, collision); }};
}

const std::vector<Method>& methods() {
  static const std::vector<Method> all = {
      {.name = "residual-kmeans", .make = by_residual_kmeans},
      {.name = "rq-vae", .levels = 3, .make = by_rq_vae},
      {.name = "letter", .make = by_letter},
      {.name = "plum", .collision = "keep", .levels = 3, .make = by_plum},
      {.name = "opq", .collision = "keep", .levels = 32, .make = by_opq},
      {.name = "balanced", .make = by_balanced_kmeans},
      {.name = "hierarchical", .make = by_hierarchical_kmeans},
      {.name = "random", .needs_vectors = false, .make = by_chance},
      {.name = "atomic", .needs_vectors = false, .collision = "keep", .levels = 1, .make = by_item},
      {.name = "file", .needs_vectors = false, .collision = "keep", .make = from_file},
  };
  return all;
}

/// Whitened where that is asked for.
Vectors vectors_for(const TokenizeOptions& options, const DataFolder& folder,
                    simgr::cpu::ThreadPool& pool) {
  Vectors vectors = text_vectors_of(folder, options.text_vectors, pool);
  return options.whiten > 0 ? tokenizer::whiten(vectors, options.whiten, pool) : vectors;
}

std::string json_of(const tokenizer::CollisionReport& report) {
  JsonLine line;
  line.add("items", report.items);
  line.add("distinct", report.distinct);
  line.add("collision_rate", report.collision_rate);
  line.add("share_in_groups", report.share_in_groups);
  line.add("largest_group", report.largest_group);
  std::string digits;
  for (const tokenizer::DigitUsage& usage : report.digits) {
    JsonLine digit;
    digit.add("codes", usage.codes);
    digit.add("used", usage.used);
    digit.add("entropy", usage.entropy);
    digit.add("perplexity", usage.perplexity);
    digit.add("prefixes", usage.prefixes);
    digit.add("prefix_perplexity", usage.prefix_perplexity);
    digits += (digits.empty() ? "" : ",") + digit.text();
  }
  line.add_raw("digits", "[" + digits + "]");
  return line.text();
}

std::string json_of(const tokenizer::NeighbourAgreement& report) {
  JsonLine line;
  const auto list = [&](const char* name, const std::vector<double>& shares) {
    std::string numbers;
    for (const double share : shares) {
      numbers += (numbers.empty() ? "" : ",") + simgr::detail::as_text(share);
    }
    line.add_raw(name, "[" + numbers + "]");
  };
  line.add("items", report.items);
  line.add("neighbours", report.neighbours);
  list("digit", report.digit);
  list("prefix", report.prefix);
  list("chance", report.chance);
  return line.text();
}

/// Prints what ids are worth: before their collisions are treated, and after.
void print_report(const Request& request, const SemanticIds& before, Collision collision,
                  const SemanticIds& after) {
  const TokenizeOptions& options = request.options;
  const auto first = tokenizer::collision_report(before), last = tokenizer::collision_report(after);
  const std::string word(names_of(collision)[static_cast<std::size_t>(collision)]);
  JsonLine line;
  if (options.json) {
    line.add("method", options.ids.empty() ? options.method : std::string("file"));
    line.add("fit_on", options.fit_on);
    line.add("collision", word);
    line.add_raw("before", json_of(first));
    line.add_raw("after", json_of(last));
  } else {
    std::cout << tokenizer::to_text(first);
    if (collision != Collision::keep) {
      std::cout << (collision == Collision::digit ? "with one digit more" : "collisions by " + word)
                << ": " << tokenizer::to_text(last);
    }
  }
  const auto neighbours = [&](const char* name, const char* of, const Vectors& vectors) {
    if (!vectors.empty()) {
      const auto agreement = tokenizer::neighbour_agreement(after, vectors, 10, 2000, request.pool);
      options.json ? line.add_raw(name, json_of(agreement))
                   : void(std::cout << of << tokenizer::to_text(agreement));
    }
  };
  neighbours("neighbours", "", request.vectors);
  neighbours("collaborative_neighbours", "by collaborative vectors, ", request.collaborative);
  if (request.neighbours.sequences() > 0) {
    const auto agreement = tokenizer::neighbour_agreement(after, request.neighbours, 10);
    options.json ? line.add_raw("listed_neighbours", json_of(agreement))
                 : void(std::cout << "by histories, " << tokenizer::to_text(agreement));
  }
  if (options.json) {
    std::cout << line.text() << "\n";
  }
}

/// ids.tsv, or an index of LC-Rec's form by its name.
void write_ids(const TokenizeOptions& options, const SemanticIds& ids) {
  options.out.ends_with(".json") ? simgr::io::write_lc_rec_index(options.out, ids)
                                 : simgr::io::write_semantic_ids(options.out, ids);
  (options.json ? std::cerr : std::cout) << "saved " << options.out << "\n";
}

}  // namespace

std::vector<std::string> tokenizer_names() {
  std::vector<std::string> names;
  for (const Method& method : methods()) { names.push_back(method.name); }
  names.pop_back();  // "file" is what --ids means
  return names;
}

void tokenize(const TokenizeOptions& options) {
  require_output(options.out, Output::ids);
  const auto& all = methods();
  const std::string name = options.ids.empty() ? options.method : "file";
  const Method& method = *std::find_if(
      all.begin(), all.end(), [&](const Method& candidate) { return candidate.name == name; });
  const auto words = names_of(Collision{});
  const auto collision = static_cast<Collision>(
      std::find(words.begin(), words.end(),
                options.collision.empty() ? method.collision : options.collision) -
      words.begin());
  if (!method.needs_vectors && collision > Collision::digit_if_shared) {  // before any work
    throw UsageError("these ids have no codebooks: --collision takes keep, digit or "
                     "digit-if-shared");
  }
  if (options.out.ends_with(".json") && options.levels.value_or(method.levels) > 26) {
    throw UsageError("--out: an index of LC-Rec's form has at most 26 digits, a to z; give a name "
                     "that does not end with .json");
  }
  if (name == "letter" && options.collaborative_vectors.empty()) {
    const std::string model = collaborative_path(options.out);
    require_output(model, Output::model);
    require_output(state_path(model), Output::model);
  }
  const DataFolder folder = read_folder(options.data);
  simgr::cpu::ThreadPool pool(threads_or_all(options.threads));
  Request request{.options = options, .folder = folder, .pool = pool};
  if (method.needs_vectors || !options.text_vectors.empty()) {
    request.vectors = vectors_for(options, folder, pool);
    if (options.fit_on == "training") {
      request.fitted = training_rows(folder, request.vectors);
      std::fprintf(stderr, "fitted to %td of %td items\n", request.fitted.rows, folder.items());
    }
  }
  if (!options.collaborative_neighbours.empty()) {
    request.neighbours =
        simgr::io::read_neighbours(options.collaborative_neighbours, folder.items());
  }
  const Made made = method.make(request);
  if (!options.collaborative_vectors.empty() && request.collaborative.empty()) {  // to report
    request.collaborative = collaborative_vectors_of(request, 0);
  }
  const SemanticIds ids = made.resolve(collision);
  print_report(request, made.ids, collision, ids);
  write_ids(options, ids);
}

// Here and not in data_folder.cpp, because k-means is slow to compile.
simgr::SemanticIds ids_of(const DataFolder& folder, const std::string& file,
                          simgr::Matrix<const float> text_vectors, simgr::cpu::ThreadPool& pool) {
  if (!file.empty()) {
    simgr::SemanticIds ids = simgr::io::read_semantic_ids(file);
    if (ids.items() != folder.items()) {
      throw simgr::DataError("expected ids of " + std::to_string(folder.items()) +
                                 " items, found " + std::to_string(ids.items()),
                             {.file = file});
    }
    return ids;
  }
  auto ids = tokenizer::residual_kmeans(text_vectors, {}, pool);
  std::vector<Index> sharing(static_cast<std::size_t>(ids.codes_per_digit.front()), 0);
  for (Index item = 0; item < ids.items(); ++item) {
    ++sharing[static_cast<std::size_t>(ids.codes.view()(item, 0))];
  }
  const auto alone = std::count(sharing.begin(), sharing.end(), Index{1});
  if (4 * alone > ids.items()) {
    std::fprintf(
        stderr,
        "%td of %td items share their first digit with no other, so ids tell little of "
        "what items have in common; 'simgr tokenize --set codes=%td' makes others\n",
        static_cast<Index>(alone), ids.items(),
        std::max<Index>(4, static_cast<Index>(std::sqrt(static_cast<double>(ids.items())))));
  }
  return ids;
}

}  // namespace simgr_cli
