digitalcard_test(NAME control_sqlite_test SOURCES control_sqlite_test.c
  LIBRARIES digitalcard_control_sqlite PkgConfig::sqlite3)
