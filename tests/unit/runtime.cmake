foreach(subject log metrics loop mailbox actor_system work_pool zsocket channel crash_slot)
  digitalcard_test(NAME runtime_${subject}_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/${subject}_test.c
                   LIBRARIES digitalcard_runtime PkgConfig::jansson Threads::Threads)
endforeach()
