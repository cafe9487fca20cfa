# digitalcard_embed_migrations(TARGET folder symbol)
# Puts folder/migrations/NNNN.sql into the target, in order of their numbers, as
#   const char *const SYMBOL[]; const size_t SYMBOL_count;
# so that the binary needs no files beside it. Run as a script (cmake -P) it writes that C file.
if(CMAKE_SCRIPT_MODE_FILE)
  set(definitions "")
  set(entries "")
  set(number 0)
  foreach(file ${FILES})
    math(EXPR number "${number} + 1")
    # The place in the list is the number that stores count by: a hole or a second file of one number would make
    # stores that took different steps look the same.
    string(LENGTH "${number}" digits)
    string(SUBSTRING "0000" ${digits} -1 zeros)
    get_filename_component(name ${file} NAME)
    if(NOT name STREQUAL "${zeros}${number}.sql")
      message(FATAL_ERROR "${file} must be ${zeros}${number}.sql: migrations are numbered without holes")
    endif()
    file(READ ${file} hex HEX)
    string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
    string(APPEND definitions "static const unsigned char migration_${number}[] = {${bytes}0x00};\n")
    string(APPEND entries "    (const char *)migration_${number},\n")
  endforeach()
  file(WRITE ${OUTPUT} "/* Made by cmake/embed.cmake from the migrations of ${SYMBOL}. */\n#include <stddef.h>\n\n"
    "extern const char *const ${SYMBOL}[];\nextern const size_t ${SYMBOL}_count;\n\n${definitions}\n"
    "const char *const ${SYMBOL}[] = {\n${entries}};\nconst size_t ${SYMBOL}_count = ${number};\n")
  return()
endif()

set(DIGITALCARD_EMBED_SCRIPT ${CMAKE_CURRENT_LIST_FILE})
function(digitalcard_embed_migrations target folder symbol)
  file(GLOB migrations CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/migrations/*.sql)
  list(SORT migrations)
  set(output ${CMAKE_CURRENT_BINARY_DIR}/${folder}_migrations.c)
  add_custom_command(OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} -DOUTPUT=${output} -DSYMBOL=${symbol} "-DFILES=${migrations}"
            -P ${DIGITALCARD_EMBED_SCRIPT}
    DEPENDS ${migrations} ${DIGITALCARD_EMBED_SCRIPT} VERBATIM)
  target_sources(${target} PRIVATE ${output})
endfunction()
