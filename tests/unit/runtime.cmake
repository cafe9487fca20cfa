foreach(subject log metrics loop mailbox actor_system work_pool zsocket channel crash_slot handler_watch)
  digitalcard_test(NAME runtime_${subject}_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/${subject}_test.c
                   LIBRARIES digitalcard_runtime PkgConfig::jansson Threads::Threads)
endforeach()
# Actors on a loop that the test turns by hand, which comes before the loop in the library.
foreach(subject notice supervision fairness budget)
  digitalcard_test(NAME runtime_actor_${subject}_test
    SOURCES ${CMAKE_CURRENT_LIST_DIR}/actor_${subject}_test.c ${CMAKE_CURRENT_LIST_DIR}/actor_support.c
            ${CMAKE_SOURCE_DIR}/tests/support/loop_fake.c
    LIBRARIES digitalcard_runtime)
endforeach()
foreach(subject timer_wheel slab process migration)
  digitalcard_test(NAME runtime_${subject}_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/${subject}_test.c
                   LIBRARIES digitalcard_runtime)
endforeach()
