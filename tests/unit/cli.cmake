# The process supervisor, its links and its control socket; configuration and start of the command line.
foreach(subject supervisor supervisor_notify supervisor_crash supervisor_group)
  digitalcard_test(NAME ${subject}_test
    SOURCES ${CMAKE_CURRENT_LIST_DIR}/${subject}_test.c ${CMAKE_CURRENT_LIST_DIR}/supervisor_support.c
            ${CMAKE_SOURCE_DIR}/tests/support/role_child.c
    LIBRARIES digitalcard_runtime PkgConfig::jansson)
endforeach()
# Its kernel kills for want of memory when the test says so.
target_link_options(supervisor_crash_test PRIVATE -Wl,--wrap=process_oom_kills)
digitalcard_test(NAME link_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/link_test.c LIBRARIES digitalcard_runtime)
digitalcard_test(NAME supervisor_metrics_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/supervisor_metrics_test.c
  LIBRARIES digitalcard_runtime)
set(cli ${CMAKE_SOURCE_DIR}/adapters/cli)
digitalcard_test(NAME configuration_test
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/configuration_test.c ${cli}/configuration.c ${cli}/configuration_file.c
          ${cli}/arguments.c ${cli}/connections.c ${cli}/endpoint.c ${cli}/data_directory.c ${cli}/membership_options.c
  LIBRARIES digitalcard_actors digitalcard_runtime digitalcard_cache_redis PkgConfig::libcyaml PkgConfig::jansson)
digitalcard_test(NAME control_commands_test
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/control_commands_test.c ${cli}/control/control_commands.c ${cli}/control/control_backup.c
          ${cli}/control/control_dead_letters.c ${cli}/control/control_flags.c ${cli}/control/control_revocations.c
  ${cli}/control/control_webhooks.c ${cli}/installation.c
          ${cli}/data_directory.c ${cli}/stores.c ${cli}/connections.c ${cli}/arguments.c
  LIBRARIES digitalcard_control_sqlite digitalcard_journal_sqlite digitalcard_projections_sqlite digitalcard_control_postgres digitalcard_journal_postgres digitalcard_projections_postgres digitalcard_signer digitalcard_token
            PkgConfig::jansson)
digitalcard_test(NAME scram_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/scram_test.c
  LIBRARIES digitalcard_control_postgres PkgConfig::libsodium)
# The sandbox of deploy/digitalcard.service, judged without a running systemd: exposure 1.5 at most.
find_program(SYSTEMD_ANALYZE_EXECUTABLE NAMES systemd-analyze REQUIRED)
add_test(NAME service_unit_sandbox COMMAND ${SYSTEMD_ANALYZE_EXECUTABLE} security --offline=true --threshold=15
         --no-pager ${CMAKE_SOURCE_DIR}/deploy/digitalcard.service)
set_tests_properties(service_unit_sandbox PROPERTIES LABELS unit TIMEOUT 600)
digitalcard_test(NAME archive_test SOURCES ${CMAKE_CURRENT_LIST_DIR}/archive_test.c
                 LIBRARIES digitalcard_archive digitalcard_actors PkgConfig::libsodium)
