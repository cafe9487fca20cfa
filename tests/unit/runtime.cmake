foreach(subject log metrics loop)
  digitalcard_test(NAME runtime_${subject}_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/${subject}_test.c
                   LIBRARIES digitalcard_runtime PkgConfig::jansson Threads::Threads)
endforeach()
