# Compiles `source` as it stands, which must succeed, and with OFFENDING defined, which must fail with its sentences.
cmake_minimum_required(VERSION 3.25)

list(TRANSFORM includes PREPEND "-I")
set(compile "${compiler}" -std=c++20 -fsyntax-only ${includes})

file(READ "${source}" text)
string(REPLACE ";" "\\;" text "${text}")
string(REGEX MATCHALL "\n// Expected: [^\n]+" sentences "${text}")
if(NOT sentences)
    message(FATAL_ERROR "${source} does not say what is expected")
endif()

execute_process(COMMAND ${compile} "${source}" RESULT_VARIABLE failed ERROR_VARIABLE text)
if(failed)
    message(FATAL_ERROR "the correct form does not compile:\n${text}")
endif()

execute_process(COMMAND ${compile} -DOFFENDING "${source}" RESULT_VARIABLE failed ERROR_VARIABLE text)
if(NOT failed)
    message(FATAL_ERROR "the offending form compiles")
endif()
foreach(sentence IN LISTS sentences)
    string(REPLACE "\n// Expected: " "" sentence "${sentence}")
    string(FIND "${text}" "${sentence}" at)
    if(at EQUAL -1)
        message(FATAL_ERROR "expected the sentence\n  ${sentence}\nbut the compiler said\n${text}")
    endif()
endforeach()
