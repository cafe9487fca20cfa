# The whole binary, as a person starts it.
add_test(NAME serve_test COMMAND ${CMAKE_CURRENT_LIST_DIR}/serve_test.sh $<TARGET_FILE:digitalcard>)
set_tests_properties(serve_test PROPERTIES LABELS integration TIMEOUT 600)
