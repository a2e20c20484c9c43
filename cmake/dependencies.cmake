# Installed packages first. Where a header-only one is missing, a pinned release is fetched and
# checked against its hash; its own build files are not run.
include(FetchContent)

# simgr_require(package version target url sha256 include_folder)
function(simgr_require package version target url sha256 include_folder)
  find_package(${package} ${version} QUIET)
  if(TARGET ${target})
    return()
  endif()
  message(STATUS "${package} ${version} is not installed; fetching ${url}")
  string(TOLOWER ${package} name)
  FetchContent_Declare(${name} URL ${url} URL_HASH SHA256=${sha256} SOURCE_SUBDIR none DOWNLOAD_EXTRACT_TIMESTAMP OFF)
  FetchContent_MakeAvailable(${name})
  add_library(${target} INTERFACE IMPORTED GLOBAL)
  target_include_directories(${target} INTERFACE ${${name}_SOURCE_DIR}/${include_folder})
endfunction()

simgr_require(Eigen3 3.4 Eigen3::Eigen https://gitlab.com/libeigen/eigen/-/archive/3.4.0/eigen-3.4.0.tar.bz2
              b4c198460eba6f28d34894e3a5710998818515104d6e74e5cc331ce31e46e626 "")
simgr_require(nlohmann_json 3.11 nlohmann_json::nlohmann_json https://github.com/nlohmann/json/archive/refs/tags/v3.11.2.tar.gz
              d69f9deb6a75e2580465c6c4c5111b89c4dc2fa94e3a85fcd2ffcd9a143d9273 single_include)
find_package(ZLIB REQUIRED)
find_package(xtensor QUIET)  # only for simgr::xtensor
find_path(SIMGR_ISAL_INCLUDE isa-l/igzip_lib.h DOC "Headers of ISA-L, only for simgr::isal")
find_library(SIMGR_ISAL_LIBRARY isal DOC "ISA-L, only for simgr::isal")
mark_as_advanced(SIMGR_ISAL_INCLUDE SIMGR_ISAL_LIBRARY)

if(SIMGR_BUILD_TESTS OR SIMGR_BUILD_EXAMPLES OR SIMGR_BUILD_BENCH)
  find_package(Threads REQUIRED)
endif()
if(SIMGR_BUILD_TESTS)
  simgr_require(doctest 2.4 doctest::doctest https://github.com/doctest/doctest/archive/refs/tags/v2.4.9.tar.gz
                19b2df757f2f3703a5e63cee553d85596875f06d91a3333acd80a969ef210856 "")
endif()
if(SIMGR_BUILD_EXAMPLES)
  simgr_require(CLI11 2.1 CLI11::CLI11 https://github.com/CLIUtils/CLI11/archive/refs/tags/v2.1.2.tar.gz
                26291377e892ba0e5b4972cdfd4a2ab3bf53af8dac1f4ea8fe0d1376b625c8cb include)
endif()
if(SIMGR_BUILD_BENCH)
  find_package(benchmark 1.7 QUIET)
  if(NOT TARGET benchmark::benchmark)
    set(BENCHMARK_ENABLE_TESTING OFF)
    set(BENCHMARK_ENABLE_INSTALL OFF)
    FetchContent_Declare(benchmark URL https://github.com/google/benchmark/archive/refs/tags/v1.7.1.tar.gz
                         URL_HASH SHA256=6430e4092653380d9dc4ccb45a1e2dc9259d581f4866dc0759713126056bc1d7
                         DOWNLOAD_EXTRACT_TIMESTAMP OFF)
    FetchContent_MakeAvailable(benchmark)
  endif()
endif()
