# The shard on its real loop and its real journal.
digitalcard_test(NAME shard_journal_test
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/shard_journal_test.c ${CMAKE_SOURCE_DIR}/tests/support/control_fake.c
  LIBRARIES digitalcard_actors digitalcard_signer digitalcard_journal_sqlite
  LABELS integration)
