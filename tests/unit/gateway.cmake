# The way in (gateway), the way out (relay), and tokens.
foreach(name token_verifier token_issuer)
  digitalcard_test(NAME ${name}_test
    SOURCES ${CMAKE_CURRENT_LIST_DIR}/${name}_test.c ${CMAKE_CURRENT_LIST_DIR}/token_support.c
    LIBRARIES digitalcard_token PkgConfig::jansson PkgConfig::libsodium PkgConfig::libcrypto)
endforeach()
