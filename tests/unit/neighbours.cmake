digitalcard_test(NAME neighbour_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/neighbour_test.c ${CMAKE_SOURCE_DIR}/tests/support/actors_settle.c
                 LIBRARIES digitalcard_actors PkgConfig::libuv)
digitalcard_test(NAME inbox_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/inbox_test.c LIBRARIES digitalcard_actors)
digitalcard_test(NAME membership_turns_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/membership_turns_test.c
                 LIBRARIES digitalcard_membership PkgConfig::jansson PkgConfig::libuv)
