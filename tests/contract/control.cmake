set(control_contract ${CMAKE_CURRENT_SOURCE_DIR}/control_contract.c ${CMAKE_CURRENT_SOURCE_DIR}/flags_contract.c
  ${CMAKE_CURRENT_SOURCE_DIR}/consumers_contract.c ${CMAKE_CURRENT_SOURCE_DIR}/revocations_contract.c
  ${CMAKE_CURRENT_SOURCE_DIR}/webhooks_contract.c)
digitalcard_test(NAME control_sqlite_contract_test
  SOURCES control_sqlite_contract_test.c journal_sqlite_place.c ${control_contract}
  LIBRARIES digitalcard_control_sqlite digitalcard_journal_sqlite LABELS contract)
digitalcard_test(NAME control_postgres_test
  SOURCES control_postgres_test.c journal_postgres_place.c ${CMAKE_SOURCE_DIR}/tests/support/postgres_server.c
          ${control_contract}
  LIBRARIES digitalcard_journal_postgres digitalcard_control_postgres digitalcard_signer PkgConfig::libpq PkgConfig::libuv
  LABELS contract)
