set(journal_contract journal_contract.c journal_contract_pages.c journal_contract_model.c
  journal_contract_reminders.c journal_contract_notes.c journal_contract_heads.c
  journal_contract_archived.c journal_harness.c)
digitalcard_test(NAME journal_sqlite_test
  SOURCES journal_sqlite_test.c journal_sqlite_place.c ${journal_contract}
  LIBRARIES digitalcard_journal_sqlite LABELS contract)
digitalcard_test(NAME journal_sqlite_faults_test
  SOURCES journal_sqlite_faults_test.c journal_sqlite_place.c journal_harness.c faulty_vfs.c vfs_forward.c
  LIBRARIES digitalcard_journal_sqlite PkgConfig::sqlite3 LABELS contract)
digitalcard_test(NAME journal_sqlite_files_test
  SOURCES journal_sqlite_files_test.c journal_sqlite_place.c journal_harness.c
  LIBRARIES digitalcard_journal_sqlite PkgConfig::sqlite3 LABELS contract)
digitalcard_test(NAME migrations_sqlite_test
  SOURCES migrations_sqlite_test.c journal_sqlite_place.c journal_harness.c
  LIBRARIES digitalcard_journal_sqlite digitalcard_control_sqlite PkgConfig::sqlite3 LABELS contract)
# Reduced here; in full by tests/long.sh.
digitalcard_test(NAME journal_sqlite_torn_test
  SOURCES journal_sqlite_torn_test.c journal_sqlite_place.c journal_harness.c torn_vfs.c vfs_forward.c
  LIBRARIES digitalcard_journal_sqlite PkgConfig::sqlite3 LABELS contract long)
