# The way in (gateway), the way out (relay), and tokens.
foreach(name token_verifier token_issuer)
  digitalcard_test(NAME ${name}_test
    SOURCES ${CMAKE_CURRENT_LIST_DIR}/${name}_test.c ${CMAKE_CURRENT_LIST_DIR}/token_support.c
    LIBRARIES digitalcard_token PkgConfig::jansson PkgConfig::libsodium PkgConfig::libcrypto)
endforeach()

foreach(name gateway_admission gateway_flow gateway_credit gateway_directory)
  digitalcard_test(NAME ${name}_test
    SOURCES ${CMAKE_CURRENT_LIST_DIR}/${name}_test.c ${CMAKE_CURRENT_LIST_DIR}/gateway_support.c
            ${CMAKE_CURRENT_LIST_DIR}/../support/gateway_loop_fake.c
    LIBRARIES digitalcard_actors digitalcard_signer)
endforeach()

foreach(name relay_archived relay_models relay_namesakes relay_publish relay_reads)
  digitalcard_test(NAME ${name}_test
    SOURCES ${CMAKE_CURRENT_LIST_DIR}/${name}_test.c ${CMAKE_CURRENT_LIST_DIR}/relay_support.c
            ${CMAKE_CURRENT_LIST_DIR}/relay_models_fake.c
            ${CMAKE_CURRENT_LIST_DIR}/../support/gateway_loop_fake.c
            ${CMAKE_CURRENT_LIST_DIR}/../support/relay_journal_fake.c
    LIBRARIES digitalcard_actors digitalcard_signer)
endforeach()

digitalcard_test(NAME webhook_sender_test
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/webhook_sender_test.c ${CMAKE_CURRENT_LIST_DIR}/webhook_support.c
          ${CMAKE_CURRENT_LIST_DIR}/relay_support.c ${CMAKE_CURRENT_LIST_DIR}/../support/gateway_loop_fake.c
          ${CMAKE_CURRENT_LIST_DIR}/../support/relay_journal_fake.c ${CMAKE_CURRENT_LIST_DIR}/../support/http_calls_fake.c
  LIBRARIES digitalcard_actors digitalcard_control_sqlite digitalcard_signer)

digitalcard_test(NAME relay_consumers_test
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/relay_consumers_test.c ${CMAKE_CURRENT_LIST_DIR}/webhook_support.c
          ${CMAKE_CURRENT_LIST_DIR}/relay_support.c ${CMAKE_CURRENT_LIST_DIR}/../support/gateway_loop_fake.c
          ${CMAKE_CURRENT_LIST_DIR}/../support/relay_journal_fake.c ${CMAKE_CURRENT_LIST_DIR}/../support/http_calls_fake.c
  LIBRARIES digitalcard_actors digitalcard_control_sqlite digitalcard_signer)

digitalcard_test(NAME gateway_secrets_test
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/gateway_secrets_test.c
  LIBRARIES digitalcard_actors digitalcard_signer)
digitalcard_test(NAME list_cursor_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/list_cursor_test.c LIBRARIES digitalcard_actors)
digitalcard_test(NAME shared_count_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/shared_count_test.c LIBRARIES digitalcard_actors)
digitalcard_test(NAME rate_limits_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/rate_limits_test.c
  LIBRARIES digitalcard_actors digitalcard_cache_memory)
