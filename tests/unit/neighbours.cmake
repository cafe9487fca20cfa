digitalcard_test(NAME neighbour_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/neighbour_test.c ${CMAKE_SOURCE_DIR}/tests/support/actors_settle.c
                 LIBRARIES digitalcard_actors PkgConfig::libuv)
digitalcard_test(NAME inbox_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/inbox_test.c LIBRARIES digitalcard_actors)
# The same sources as in the library, with small bounds; time and randomness are the test's.
digitalcard_test(NAME neighbour_random_test
                 SOURCES ${CMAKE_CURRENT_LIST_DIR}/neighbour_random_test.c
                         ${CMAKE_SOURCE_DIR}/actors/neighbours/neighbour.c
                         ${CMAKE_SOURCE_DIR}/actors/neighbours/breaker_actor.c
                         ${CMAKE_SOURCE_DIR}/actors/neighbours/adapter_actor.c
                         ${CMAKE_SOURCE_DIR}/actors/neighbours/neighbour_settings.c
                 LIBRARIES digitalcard_actors PkgConfig::libuv)
target_include_directories(neighbour_random_test BEFORE PRIVATE ${CMAKE_CURRENT_LIST_DIR}/neighbour_limits)
target_link_options(neighbour_random_test PRIVATE -Wl,--wrap=loop_now_ms -Wl,--wrap=random_below)
digitalcard_test(NAME membership_turns_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/membership_turns_test.c
                 LIBRARIES digitalcard_membership PkgConfig::jansson PkgConfig::libuv)
