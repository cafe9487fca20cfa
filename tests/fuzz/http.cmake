# The first bytes that a stranger can send: request heads, chunked bodies, paths and queries.
if(COMMAND digitalcard_fuzz AND DIGITALCARD_FUZZ)
  digitalcard_fuzz(NAME fuzz_head_check SOURCES ${CMAKE_CURRENT_LIST_DIR}/fuzz_head_check.c
                   LIBRARIES digitalcard_http CORPUS ${CMAKE_CURRENT_LIST_DIR}/corpus/head_check)
endif()
