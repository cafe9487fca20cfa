# Bearer tokens: anybody can send any bytes as one.
if(COMMAND digitalcard_fuzz AND DIGITALCARD_FUZZ)
  digitalcard_fuzz(NAME fuzz_token SOURCES ${CMAKE_CURRENT_LIST_DIR}/fuzz_token.c
                   LIBRARIES digitalcard_token PkgConfig::jansson PkgConfig::libsodium
                   CORPUS ${CMAKE_CURRENT_LIST_DIR}/corpus/token)
endif()
