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
# On a name system that is a stand-in.
digitalcard_test(NAME runtime_name_lookup_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/name_lookup_test.c
                 LIBRARIES digitalcard_runtime Threads::Threads)
digitalcard_test(NAME postgres_hosts_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/postgres_hosts_test.c
                 LIBRARIES digitalcard_shared_postgres PkgConfig::libpq)
digitalcard_test(NAME redis_names_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/redis_names_test.c
                 LIBRARIES digitalcard_cache_redis Threads::Threads)
foreach(test runtime_name_lookup_test postgres_hosts_test redis_names_test)
  target_link_options(${test} PRIVATE -Wl,--wrap=getaddrinfo)
endforeach()
