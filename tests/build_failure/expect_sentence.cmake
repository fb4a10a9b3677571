# Compiles `source` as it stands, which must succeed, and with OFFENDING defined, which must fail with its sentence.
cmake_minimum_required(VERSION 3.25)

list(TRANSFORM includes PREPEND "-I")
set(compile "${compiler}" -std=c++20 -fsyntax-only ${includes})

file(READ "${source}" text)
if(NOT text MATCHES "\n// Expected: ([^\n]+)\n")
    message(FATAL_ERROR "${source} does not say what is expected")
endif()
set(sentence "${CMAKE_MATCH_1}")

execute_process(COMMAND ${compile} "${source}" RESULT_VARIABLE failed ERROR_VARIABLE text)
if(failed)
    message(FATAL_ERROR "the correct form does not compile:\n${text}")
endif()

execute_process(COMMAND ${compile} -DOFFENDING "${source}" RESULT_VARIABLE failed ERROR_VARIABLE text)
if(NOT failed)
    message(FATAL_ERROR "the offending form compiles")
endif()
string(FIND "${text}" "${sentence}" at)
if(at EQUAL -1)
    message(FATAL_ERROR "expected the sentence\n  ${sentence}\nbut the compiler said\n${text}")
endif()
