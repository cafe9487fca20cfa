digitalcard_test(NAME http_client_test
  SOURCES http_client_test.c ../support/bad_server.c
  LIBRARIES digitalcard_http_client PkgConfig::libcurl PkgConfig::libuv PkgConfig::libssl PkgConfig::libcrypto LABELS contract)
