digitalcard_test(NAME projections_sqlite_test
  SOURCES projections_sqlite_test.c projections_contract.c journal_sqlite_place.c
          ${CMAKE_SOURCE_DIR}/tests/support/projections_log.c
  LIBRARIES digitalcard_projections_sqlite digitalcard_journal_sqlite LABELS contract)
# On a real server that the program starts for itself.
digitalcard_test(NAME projections_postgres_test
  SOURCES projections_postgres_test.c projections_contract.c ${CMAKE_SOURCE_DIR}/tests/support/postgres_server.c
          ${CMAKE_SOURCE_DIR}/tests/support/tcp_proxy.c
          ${CMAKE_SOURCE_DIR}/tests/support/projections_log.c
  LIBRARIES digitalcard_projections_postgres PkgConfig::libpq LABELS contract)
digitalcard_test(NAME projections_plans_sqlite_test SOURCES projections_plans_sqlite_test.c
  LIBRARIES digitalcard_projections_sqlite LABELS contract)
digitalcard_test(NAME projections_plans_postgres_test
  SOURCES projections_plans_postgres_test.c ${CMAKE_SOURCE_DIR}/tests/support/postgres_server.c
  LIBRARIES digitalcard_projections_postgres PkgConfig::libpq LABELS contract)
