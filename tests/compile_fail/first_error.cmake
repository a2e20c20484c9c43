# Compiles ${case} and prints the first error, and nothing else.
string(REPLACE "|" ";" folders "${folders}")
list(REMOVE_ITEM folders "" /usr/include)  # the compiler's own folders must keep their order
list(TRANSFORM folders PREPEND -isystem)
execute_process(COMMAND ${compiler} -std=c++20 -fsyntax-only -fdiagnostics-color=never ${folders} ${case}
                RESULT_VARIABLE status OUTPUT_VARIABLE text ERROR_VARIABLE text)
if(status EQUAL 0)
  message(FATAL_ERROR "${case} compiles")
endif()
string(REGEX MATCH "error: [^\n]*" first "${text}")
message("first ${first}")
