execute_process(COMMAND ${nm} --defined-only --extern-only ${object} OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
if(symbols MATCHES " [ABCDGRST] [^\n]*")
  message(FATAL_ERROR "including the library defines strong symbols:\n${symbols}")
endif()
