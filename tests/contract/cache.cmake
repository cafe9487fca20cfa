set(cache_contract ${CMAKE_CURRENT_SOURCE_DIR}/cache_contract.c)
digitalcard_test(NAME cache_memory_test SOURCES cache_memory_test.c ${cache_contract}
  LIBRARIES digitalcard_cache_memory LABELS contract)
set(cache_redis ${cache_contract} ${CMAKE_SOURCE_DIR}/tests/support/redis_server.c)
digitalcard_test(NAME cache_redis_test SOURCES cache_redis_test.c ${cache_redis}
  LIBRARIES digitalcard_cache_redis PkgConfig::hiredis PkgConfig::libuv LABELS contract)
digitalcard_test(NAME cache_redis_faults_test SOURCES cache_redis_faults_test.c ${cache_redis}
  LIBRARIES digitalcard_cache_redis PkgConfig::hiredis PkgConfig::libuv LABELS contract)
digitalcard_test(NAME cache_redis_places_test SOURCES cache_redis_places_test.c ${cache_redis}
  LIBRARIES digitalcard_cache_redis PkgConfig::hiredis PkgConfig::libuv LABELS contract)
