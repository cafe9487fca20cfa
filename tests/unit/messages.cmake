add_library(messages_support STATIC ${CMAKE_CURRENT_SOURCE_DIR}/messages_support.c)
target_link_libraries(messages_support PUBLIC digitalcard_messages)

digitalcard_test(NAME messages_round_trip_test SOURCES messages_round_trip_test.c
                 LIBRARIES messages_support)
foreach(area json text tables)
  digitalcard_test(NAME messages_${area}_test SOURCES messages_${area}_test.c
                   LIBRARIES messages_support)
endforeach()

# msgpack-c is not part of the product: here it is the independent witness.
digitalcard_test(NAME messages_msgpack_test SOURCES messages_msgpack_test.c
                 LIBRARIES messages_support ${MSGPACKC_LIBRARY})

# docs/messages.md is made from the tables and checked in: the two must be the same.
add_custom_command(OUTPUT ${CMAKE_BINARY_DIR}/messages/messages.md
                   COMMAND digitalcard_reference > ${CMAKE_BINARY_DIR}/messages/messages.md
                   DEPENDS digitalcard_reference VERBATIM)
add_custom_target(messages_reference ALL DEPENDS ${CMAKE_BINARY_DIR}/messages/messages.md)
add_test(NAME messages_reference_is_current
         COMMAND ${CMAKE_COMMAND} -E compare_files ${CMAKE_BINARY_DIR}/messages/messages.md
                 ${CMAKE_SOURCE_DIR}/docs/messages.md)
set_tests_properties(messages_reference_is_current PROPERTIES LABELS unit TIMEOUT 600)
