digitalcard_test(NAME vendor_test
  SOURCES vendor_test.c ../support/http_vendor.c ../support/actors_settle.c
  LIBRARIES digitalcard_http_client digitalcard_actors PkgConfig::libcurl PkgConfig::libuv PkgConfig::jansson LABELS contract)
set_tests_properties(vendor_test PROPERTIES ENVIRONMENT
  "DIGITALCARD_NODE=${NODE_EXECUTABLE};DIGITALCARD_VENDOR=${CMAKE_SOURCE_DIR}/tests/peers/vendor.mjs")
