# On a real server that each program starts for itself.
set(journal_postgres journal_postgres_place.c ${CMAKE_SOURCE_DIR}/tests/support/postgres_server.c)
set(journal_postgres_libraries digitalcard_journal_postgres digitalcard_control_postgres digitalcard_signer
  PkgConfig::libpq PkgConfig::libuv)
digitalcard_test(NAME journal_postgres_test
  SOURCES journal_postgres_test.c ${journal_postgres} ${journal_contract}
  LIBRARIES ${journal_postgres_libraries} LABELS contract)
digitalcard_test(NAME journal_postgres_faults_test
  SOURCES journal_postgres_faults_test.c ${journal_postgres} journal_harness.c ${CMAKE_SOURCE_DIR}/tests/support/tcp_proxy.c
  LIBRARIES ${journal_postgres_libraries} Threads::Threads LABELS contract)
digitalcard_test(NAME migrations_postgres_test
  SOURCES migrations_postgres_test.c ${journal_postgres} journal_harness.c
  LIBRARIES ${journal_postgres_libraries} LABELS contract)
