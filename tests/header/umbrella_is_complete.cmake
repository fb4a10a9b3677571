# Compares what escqrs.hpp includes, directly or through others, with `headers`, and with `costly`, which it must leave out.
cmake_minimum_required(VERSION 3.25)

execute_process(
    COMMAND "${compiler}" -std=c++20 -MM -x c++ "-I${folder}" "${folder}/escqrs/escqrs.hpp"
    RESULT_VARIABLE failed OUTPUT_VARIABLE included ERROR_VARIABLE text)
if(failed)
    message(FATAL_ERROR "${text}")
endif()
string(REGEX REPLACE "[ \\\\\n]+" ";" included "${included}")
foreach(header IN LISTS headers)
    if(NOT header IN_LIST included)
        message(SEND_ERROR "escqrs.hpp misses ${header}")
    endif()
endforeach()
foreach(header IN LISTS costly)
    if(header IN_LIST included)
        message(SEND_ERROR "escqrs.hpp includes ${header}, which is to be included by those who need it")
    endif()
endforeach()
