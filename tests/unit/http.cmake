set(support ${CMAKE_SOURCE_DIR}/tests/support)
digitalcard_test(NAME http_head_check_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/head_check_test.c
                 LIBRARIES digitalcard_http)
foreach(subject http_server http_yield routes)
  digitalcard_test(NAME ${subject}_test
                   SOURCES ${CMAKE_CURRENT_LIST_DIR}/${subject}_test.c ${support}/http_fixture.c ${support}/gateway_fake.c
                   LIBRARIES digitalcard_http PkgConfig::libuv)
endforeach()
digitalcard_test(NAME router_front_test
                 SOURCES ${CMAKE_CURRENT_LIST_DIR}/router_front_test.c ${support}/zmq_client.c ${support}/gateway_fake.c
                 LIBRARIES digitalcard_router PkgConfig::libuv PkgConfig::libzmq)
digitalcard_test(NAME events_publisher_test
                 SOURCES ${CMAKE_CURRENT_LIST_DIR}/events_publisher_test.c ${support}/zmq_client.c
                 LIBRARIES digitalcard_events PkgConfig::libuv PkgConfig::libzmq)
digitalcard_test(NAME gateway_authorise_test
                 SOURCES ${CMAKE_CURRENT_LIST_DIR}/gateway_authorise_test.c ${CMAKE_CURRENT_LIST_DIR}/gateway_support.c
                         ${support}/gateway_loop_fake.c
                 LIBRARIES digitalcard_actors digitalcard_signer)

add_test(NAME http_page_is_current
  COMMAND sh -c "\"$1\" | diff -u \"$2\" -" sh $<TARGET_FILE:digitalcard_http_reference>
          ${CMAKE_CURRENT_LIST_DIR}/../../docs/http.md)
set_tests_properties(http_page_is_current PROPERTIES LABELS unit TIMEOUT 600)
