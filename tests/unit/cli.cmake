# The process supervisor, its links and its control socket; configuration and start of the command line.
digitalcard_test(NAME supervisor_test
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/supervisor_test.c ${CMAKE_SOURCE_DIR}/tests/support/role_child.c
  LIBRARIES digitalcard_runtime PkgConfig::jansson)
digitalcard_test(NAME link_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/link_test.c LIBRARIES digitalcard_runtime)
digitalcard_test(NAME supervisor_metrics_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/supervisor_metrics_test.c
  LIBRARIES digitalcard_runtime)
set(cli ${CMAKE_SOURCE_DIR}/adapters/cli)
digitalcard_test(NAME configuration_test
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/configuration_test.c ${cli}/configuration.c ${cli}/configuration_file.c
          ${cli}/arguments.c ${cli}/endpoint.c ${cli}/data_directory.c
  LIBRARIES digitalcard_runtime PkgConfig::libcyaml PkgConfig::jansson)
digitalcard_test(NAME control_commands_test
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/control_commands_test.c ${cli}/control_commands.c ${cli}/installation.c
          ${cli}/data_directory.c ${cli}/stores.c ${cli}/arguments.c
  LIBRARIES digitalcard_control_sqlite digitalcard_journal_sqlite digitalcard_control_postgres digitalcard_journal_postgres digitalcard_signer digitalcard_token
            PkgConfig::jansson)
