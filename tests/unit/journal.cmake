digitalcard_test(NAME control_sqlite_test SOURCES control_sqlite_test.c
  LIBRARIES digitalcard_control_sqlite PkgConfig::sqlite3)
digitalcard_test(NAME card_tails_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/card_tails_test.c
  LIBRARIES digitalcard_journal_postgres)
