set(support ${CMAKE_SOURCE_DIR}/tests/support)
digitalcard_test(NAME http_head_check_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/head_check_test.c
                 LIBRARIES digitalcard_http)
digitalcard_test(NAME http_server_test
                 SOURCES ${CMAKE_CURRENT_LIST_DIR}/http_server_test.c ${support}/http_fixture.c ${support}/gateway_fake.c
                 LIBRARIES digitalcard_http PkgConfig::libuv)
