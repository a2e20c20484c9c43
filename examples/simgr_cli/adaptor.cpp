// SPDX-License-Identifier: Apache-2.0
#include <simgr_cli/adaptor.hpp>

namespace simgr_cli {

std::vector<simgr::io::MetadataEntry> metadata_of(const std::string& name,
                                                  const FitRequest& request,
                                                  const simgr::train::FitOptions& options,
                                                  const simgr::train::FitResult& result) {
  std::vector<simgr::io::MetadataEntry> metadata = {
      {kind_key, name},
      {data_key, request.data_fingerprint},
      {"epochs", std::to_string(result.epochs)},
      {"best_epoch", std::to_string(result.best_epoch)},
      {"validation_ndcg@10", simgr::train::detail::log_text(result.best_validation_ndcg10)}};
  if (!request.backbone_name.empty()) {
    metadata.push_back({backbone_key, request.backbone_name});
  }
  if (!request.warm_start.empty()) {
    metadata.push_back({warm_start_key, warm_start_of(request)});
  }
  for (const simgr::FieldText& field : simgr::list_fields(options)) {
    metadata.push_back({"fit." + field.name, field.value});
  }
  metadata.insert(metadata.end(), request.notes.begin(), request.notes.end());
  return metadata;
}

std::string state_of(const FitRequest& request) {
  return request.state.empty() ? state_path(request.out) : request.state;
}

std::string stage_of(const FitRequest& request) {
  return state_of(request) + ".before";
}

bool begins_anew(const FitRequest& request) {
  return !request.resume || !std::filesystem::exists(state_of(request));
}

std::string warm_start_of(const FitRequest& request) {
  return std::filesystem::path(request.warm_start).filename().string();
}

void note_warm_start(simgr::train::RunNotes& notes, const FitRequest& request) {
  notes.fields.push_back({warm_start_key, warm_start_of(request), {}, {}});
  notes.usual.push_back({warm_start_key, {}, {}, {}});
}

void tell_warm_start(const FitRequest& request, const std::string& differences) {
  std::fprintf(stderr, "begins with the weights of %s%s%s\n", request.warm_start.c_str(),
               differences.empty() ? "" : ", where ", differences.c_str());
}

Reporting::Reporting(const FitRequest& request, Index finished) : request_(request) {
  if (!request.log.empty()) {
    log_ = std::make_unique<simgr::train::EpochLog>(request.log, simgr::train::LogFormat::jsonl,
                                                    finished);
  }
}

Reporting::~Reporting() = default;

void Reporting::operator()(const simgr::train::StepReport& report) const {
  if (request_.on_step) {
    request_.on_step(report);
  }
}

bool Reporting::operator()(const simgr::train::EpochReport& report) const {
  if (log_) {
    (*log_)(report);
  }
  return !request_.on_epoch || request_.on_epoch(report);
}

}  // namespace simgr_cli
