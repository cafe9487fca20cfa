digitalcard_test(NAME http_head_check_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/head_check_test.c
                 LIBRARIES digitalcard_http)
