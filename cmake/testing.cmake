add_library(digitalcard_test_support STATIC ${CMAKE_SOURCE_DIR}/tests/support/directory.c ${CMAKE_SOURCE_DIR}/tests/support/free_port.c)
target_link_libraries(digitalcard_test_support PRIVATE digitalcard_compiler)

# digitalcard_test(NAME name SOURCES a.c b.c LIBRARIES … [LABELS unit|contract|integration|long] [TIMEOUT s])
# One cmocka program, one CTest entry.
function(digitalcard_test)
  cmake_parse_arguments(TEST "" "NAME;TIMEOUT" "SOURCES;LIBRARIES;LABELS" ${ARGN})
  add_executable(${TEST_NAME} ${TEST_SOURCES})
  target_link_libraries(${TEST_NAME} PRIVATE digitalcard_compiler ${TEST_LIBRARIES} digitalcard_test_support cmocka)
  add_test(NAME ${TEST_NAME} COMMAND ${TEST_NAME})
  if(NOT TEST_TIMEOUT) # ends a test that hangs; several times what the slowest takes under AddressSanitizer on two busy cores
    set(TEST_TIMEOUT 600)
  endif()
  if(NOT TEST_LABELS)
    set(TEST_LABELS unit)
  endif()
  set_tests_properties(${TEST_NAME} PROPERTIES LABELS "${TEST_LABELS}" TIMEOUT ${TEST_TIMEOUT})
  if(DIGITALCARD_SANITIZE MATCHES "thread")
    set_property(TEST ${TEST_NAME} APPEND PROPERTY
      ENVIRONMENT "TSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/tests/tsan.suppressions")
  endif()
endfunction()

# digitalcard_fuzz(NAME name SOURCES a.c LIBRARIES … CORPUS folder)
# One libFuzzer program, one CTest entry of 10 s; nothing unless DIGITALCARD_FUZZ is on. What the fuzzer finds goes
# to a copy of the corpus in the build folder.
function(digitalcard_fuzz)
  if(NOT DIGITALCARD_FUZZ)
    return()
  endif()
  cmake_parse_arguments(FUZZ "" "NAME;CORPUS" "SOURCES;LIBRARIES" ${ARGN})
  get_filename_component(seeds ${FUZZ_CORPUS} ABSOLUTE)
  set(corpus ${CMAKE_CURRENT_BINARY_DIR}/corpus/${FUZZ_NAME})
  add_executable(${FUZZ_NAME} ${FUZZ_SOURCES})
  target_link_libraries(${FUZZ_NAME} PRIVATE digitalcard_compiler ${FUZZ_LIBRARIES})
  target_link_options(${FUZZ_NAME} PRIVATE -fsanitize=fuzzer)
  add_test(NAME ${FUZZ_NAME}_corpus
           COMMAND sh -c "rm -rf '${corpus}' && mkdir -p '${corpus}' && cp '${seeds}'/* '${corpus}'")
  set_tests_properties(${FUZZ_NAME}_corpus PROPERTIES LABELS fuzz TIMEOUT 60 FIXTURES_SETUP ${FUZZ_NAME}_corpus)
  add_test(NAME ${FUZZ_NAME} COMMAND ${FUZZ_NAME} -max_total_time=10 -rss_limit_mb=2048 -timeout=5
           -print_final_stats=1 -artifact_prefix=${CMAKE_CURRENT_BINARY_DIR}/${FUZZ_NAME}- ${corpus})
  set_tests_properties(${FUZZ_NAME} PROPERTIES LABELS fuzz TIMEOUT 300 FIXTURES_REQUIRED ${FUZZ_NAME}_corpus)
endfunction()
