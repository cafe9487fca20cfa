# The shard with a journal, a control store and a loop of the tests' own.
add_library(shard_support STATIC ${CMAKE_CURRENT_LIST_DIR}/shard_support.c
  ${CMAKE_SOURCE_DIR}/tests/support/control_fake.c ${CMAKE_SOURCE_DIR}/tests/support/journal_fake.c
  ${CMAKE_SOURCE_DIR}/tests/support/journal_fake_pages.c ${CMAKE_SOURCE_DIR}/tests/support/reminder_table.c)
target_link_libraries(shard_support PUBLIC digitalcard_actors digitalcard_signer cmocka)
foreach(subject cards passivation reminder quota batch idempotency scan tenant sweep random quarantine store_watch)
  # loop_fake.c is part of the program, so that it comes before the loop in the library.
  digitalcard_test(NAME shard_${subject}_test
    SOURCES ${CMAKE_CURRENT_LIST_DIR}/shard_${subject}_test.c
            ${CMAKE_SOURCE_DIR}/tests/support/loop_fake.c
    LIBRARIES shard_support)
endforeach()
foreach(subject member_keys reply directory clock_guard)
  digitalcard_test(NAME ${subject}_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/${subject}_test.c
                   LIBRARIES shard_support)
endforeach()
