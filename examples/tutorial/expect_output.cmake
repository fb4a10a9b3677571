# cmake -D PROGRAM=<program> -D EXPECTED=<file> -P expect_output.cmake: fails unless the program ends well and prints what
# stands in the file.
execute_process(COMMAND "${PROGRAM}" OUTPUT_VARIABLE printed RESULT_VARIABLE result)
if(NOT result EQUAL 0)
    message(FATAL_ERROR "${PROGRAM} ended with ${result}, having printed:\n${printed}")
endif()
file(READ "${EXPECTED}" expected)
if(NOT printed STREQUAL expected)
    message(FATAL_ERROR "${PROGRAM} printed:\n${printed}\nexpected, in ${EXPECTED}:\n${expected}")
endif()
