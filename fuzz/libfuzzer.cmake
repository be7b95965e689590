# SPDX-License-Identifier: MIT
# Instruments everything for libFuzzer, or says in NACRE_FUZZ_MISSING why that is not possible here.
include(CheckCSourceCompiles)
set(CMAKE_REQUIRED_FLAGS -fsanitize=fuzzer,address,undefined)
set(CMAKE_REQUIRED_LINK_OPTIONS -fsanitize=fuzzer,address,undefined)
check_c_source_compiles("#include <stddef.h>
#include <stdint.h>
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { return (int)(size & 0) & (data != 0); }" NACRE_HAS_LIBFUZZER)
unset(CMAKE_REQUIRED_FLAGS)
unset(CMAKE_REQUIRED_LINK_OPTIONS)
if(NACRE_HAS_LIBFUZZER)
  set(NACRE_SANITIZE fuzzer-no-link,address,undefined)
else()
  set(NACRE_FUZZ_MISSING "${CMAKE_C_COMPILER_ID} ${CMAKE_C_COMPILER_VERSION} has no libFuzzer: use clang with its compiler-rt (-DCMAKE_C_COMPILER=clang)")
  message(WARNING "the fuzz targets are not built: ${NACRE_FUZZ_MISSING}")
endif()
