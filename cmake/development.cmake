# What our own executables get, and no consumer: warnings, sanitizers, the processor's instructions.
set(simgr_warnings -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wold-style-cast $<$<BOOL:${SIMGR_WERROR}>:-Werror>)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # Wrong in g++ 12 at -O2: "text" + std::string (GCC bug 105651), and AVX-512 intrinsics (bug 105593).
  list(APPEND simgr_warnings -Wno-restrict -Wno-uninitialized -Wno-maybe-uninitialized)
endif()
if(SIMGR_WERROR AND CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  # These come from the optimiser, which guesses at values; they are shown and stop nothing.
  foreach(guess array-bounds dangling-pointer free-nonheap-object mismatched-new-delete nonnull stringop-overflow
                stringop-overread use-after-free)
    list(APPEND simgr_warnings -Wno-error=${guess})
  endforeach()
endif()
set(SIMGR_DEV_FLAGS "" CACHE STRING "Compiler and linker flags of our own executables, such as -march=native")

add_library(simgr_dev INTERFACE)
target_compile_options(simgr_dev INTERFACE ${simgr_warnings} ${SIMGR_DEV_FLAGS})
target_link_options(simgr_dev INTERFACE ${SIMGR_DEV_FLAGS})
target_compile_definitions(simgr_dev INTERFACE EIGEN_DONT_PARALLELIZE)
target_link_libraries(simgr_dev INTERFACE simgr::simgr Threads::Threads)

# As many compilers at once as fit into memory: one may take 1.5 GB.
if(PROJECT_IS_TOP_LEVEL)
  cmake_host_system_information(RESULT memory QUERY TOTAL_PHYSICAL_MEMORY)  # MiB
  cmake_host_system_information(RESULT cores QUERY NUMBER_OF_LOGICAL_CORES)
  math(EXPR jobs "${memory} / 1500")
  if(jobs GREATER cores)
    set(jobs ${cores})
  elseif(jobs LESS 1)
    set(jobs 1)
  endif()
  set_property(GLOBAL PROPERTY JOB_POOLS compile=${jobs})
  set(CMAKE_JOB_POOL_COMPILE compile)
endif()

# simgr_share_kernels(LIBRARY TARGET…): the kernels that every model instantiates are compiled once, as an object library
# with what the targets bring, for the executables that link LIBRARY (include/simgr/cpu/compiled.hpp).
function(simgr_share_kernels library)
  add_library(${library} OBJECT ${PROJECT_SOURCE_DIR}/cmake/kernels.cpp)
  target_compile_definitions(${library} PRIVATE SIMGR_DEFINE_KERNELS PUBLIC SIMGR_EXTERN_KERNELS)
  target_link_libraries(${library} PRIVATE simgr_dev ${ARGN})
endfunction()
