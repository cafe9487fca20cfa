set(flags_contract flags_contract.c)
digitalcard_test(NAME flags_sqlite_test SOURCES flags_sqlite_test.c ${flags_contract}
  LIBRARIES digitalcard_control_sqlite digitalcard_journal_sqlite LABELS contract)
