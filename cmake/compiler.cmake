# The hardening set of ../shared/CONVENTIONS.md (OpenSSF), on every target. Asserts stay on in release.
add_library(digitalcard_compiler INTERFACE)
target_include_directories(digitalcard_compiler INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
target_compile_definitions(digitalcard_compiler INTERFACE _GNU_SOURCE DIGITALCARD_VERSION="${PROJECT_VERSION}")
target_compile_options(digitalcard_compiler INTERFACE
  -Wall -Wextra -Wformat=2 -Wconversion -Wsign-conversion -Wimplicit-fallthrough
  -Werror=format-security -Werror=implicit -Werror=incompatible-pointer-types -Werror=int-conversion
  -fstack-clash-protection -fstack-protector-strong -fcf-protection=full
  -fno-delete-null-pointer-checks -fno-strict-overflow -fno-strict-aliasing
  -fno-omit-frame-pointer)
if(CMAKE_C_COMPILER_ID STREQUAL "Clang" AND CMAKE_C_COMPILER_VERSION VERSION_LESS 16)
  # Debian's clang 14, which builds the fuzz targets, has `zero` behind a switch of its own.
  target_compile_options(digitalcard_compiler INTERFACE -ftrivial-auto-var-init=pattern)
else()
  target_compile_options(digitalcard_compiler INTERFACE -ftrivial-auto-var-init=zero)
endif()
target_link_options(digitalcard_compiler INTERFACE
  -Wl,-z,nodlopen,-z,noexecstack,-z,relro,-z,now -Wl,--as-needed)
set(CMAKE_C_FLAGS_RELEASE "-O2 -g")
set(CMAKE_C_FLAGS_DEBUG "-O1 -g")
include(CheckPIESupported)
check_pie_supported()
if(DIGITALCARD_WERROR)
  target_compile_options(digitalcard_compiler INTERFACE -Werror)
endif()
if(DIGITALCARD_SANITIZE)
  target_compile_options(digitalcard_compiler INTERFACE -fsanitize=${DIGITALCARD_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(digitalcard_compiler INTERFACE -fsanitize=${DIGITALCARD_SANITIZE})
  target_compile_options(digitalcard_compiler INTERFACE -U_FORTIFY_SOURCE)
else()
  target_compile_options(digitalcard_compiler INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
endif()
if(DIGITALCARD_FUZZ)
  target_compile_options(digitalcard_compiler INTERFACE -fsanitize=fuzzer-no-link)
endif()
