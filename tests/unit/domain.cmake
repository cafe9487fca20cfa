# The rules of a card, its code, and the adapters that sign and draw it.
foreach(name card_states card_decide card_evolve card_property card_reason card_id card_code permission flag webhook)
  digitalcard_test(NAME ${name}_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/${name}_test.c
                   LIBRARIES digitalcard_domain)
endforeach()
# With the numbers that the service uses, which stand with its neighbours.
digitalcard_test(NAME circuit_breaker_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/circuit_breaker_test.c
                 LIBRARIES digitalcard_actors)

add_test(NAME card_states_page_is_current
  COMMAND sh -c "\"$1\" | diff -u \"$2\" -" sh $<TARGET_FILE:digitalcard_card_states>
          ${CMAKE_CURRENT_LIST_DIR}/../../docs/card-states.md)
set_tests_properties(card_states_page_is_current PROPERTIES LABELS unit TIMEOUT 600)

digitalcard_test(NAME card_code_vectors_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/card_code_vectors_test.c
                 LIBRARIES digitalcard_signer digitalcard_domain PkgConfig::libsodium)
target_compile_definitions(card_code_vectors_test PRIVATE
  QR_CODE_PAGE="${CMAKE_CURRENT_LIST_DIR}/../../docs/qr-code.md")
digitalcard_test(NAME signer_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/signer_test.c
                 LIBRARIES digitalcard_signer)
digitalcard_test(NAME signer_master_key_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/signer_master_key_test.c
                 LIBRARIES digitalcard_signer)
digitalcard_test(NAME qrcode_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/qrcode_test.c
                 LIBRARIES digitalcard_qrcode PkgConfig::libpng PkgConfig::libqrencode)
