# What read models are folded from events with.
digitalcard_test(NAME name_words_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/name_words_test.c
  LIBRARIES digitalcard_actors digitalcard_signer)
