# Debian 12 packages (DESIGN 2.6); deploy/packages.sh installs them.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
foreach(package libuv libzmq libczmq sqlite3 libsodium libqrencode libpng jansson cjose libcyaml libcrypto libpq hiredis libssl libcurl)
  pkg_check_modules(${package} REQUIRED IMPORTED_TARGET ${package})
endforeach()
find_library(MSGPACKC_LIBRARY NAMES msgpackc msgpack-c REQUIRED)
find_library(HTTP_PARSER_LIBRARY NAMES http_parser REQUIRED)
find_path(HTTP_PARSER_INCLUDE http_parser.h REQUIRED)
