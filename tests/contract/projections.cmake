digitalcard_test(NAME projections_sqlite_test
  SOURCES projections_sqlite_test.c projections_contract.c journal_sqlite_place.c
          ${CMAKE_SOURCE_DIR}/tests/support/projections_log.c
  LIBRARIES digitalcard_projections_sqlite digitalcard_journal_sqlite LABELS contract)
