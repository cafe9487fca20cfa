# The relay on the embedded store.
digitalcard_test(NAME relay_journal_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/relay_journal_test.c
                 LIBRARIES digitalcard_journal_sqlite digitalcard_control_sqlite digitalcard_signer
                           digitalcard_actors
                 LABELS integration)
