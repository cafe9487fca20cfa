# The parts of digitalcard-bench that compute; that its figures are true is tested by tests/end_to_end/bench_test.mjs.
digitalcard_test(NAME bench_histogram_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/bench_histogram_test.c
                 ${CMAKE_SOURCE_DIR}/bench/load/histogram.c LIBRARIES m)
digitalcard_test(NAME bench_check_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/bench_check_test.c
                 ${CMAKE_SOURCE_DIR}/bench/actors/check.c LIBRARIES digitalcard_actors)
digitalcard_test(NAME bench_scenario_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/bench_scenario_test.c
                 ${CMAKE_SOURCE_DIR}/bench/load/scenario.c ${CMAKE_SOURCE_DIR}/bench/load/tally.c LIBRARIES digitalcard_messages m)
