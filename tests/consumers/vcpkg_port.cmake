# Runs the vcpkg port as vcpkg does, with plain CMake in place of vcpkg's functions:
#   cmake -D PORT_DIR=<folder of the port> -D GENERATOR=<generator> -D FOLDER=<where to work> -P vcpkg_port.cmake
# The package is in FOLDER/package then.
cmake_minimum_required(VERSION 3.25)

set(PORT escqrs)
set(CURRENT_PORT_DIR "${PORT_DIR}")
set(CURRENT_PACKAGES_DIR "${FOLDER}/package")

macro(parse_arguments one_value multi_value)
    cmake_parse_arguments(PARSE_ARGV 0 arg "" "${one_value}" "${multi_value}")
    if(arg_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "${CMAKE_CURRENT_FUNCTION} has unknown arguments: ${arg_UNPARSED_ARGUMENTS}")
    endif()
endmacro()

function(run)
    execute_process(COMMAND ${ARGV} COMMAND_ERROR_IS_FATAL ANY OUTPUT_QUIET)
endfunction()

function(vcpkg_cmake_configure)
    parse_arguments(SOURCE_PATH OPTIONS)
    if(NOT VCPKG_BUILD_TYPE STREQUAL "release")
        message(FATAL_ERROR "a port of headers builds no debug package")
    endif()
    run("${CMAKE_COMMAND}" -G "${GENERATOR}" -S "${arg_SOURCE_PATH}" -B "${FOLDER}/build"
        "-DCMAKE_INSTALL_PREFIX=${CURRENT_PACKAGES_DIR}" -DCMAKE_INSTALL_LIBDIR=lib ${arg_OPTIONS})
endfunction()

function(vcpkg_cmake_install)
    parse_arguments("" "")
    run("${CMAKE_COMMAND}" --build "${FOLDER}/build" --target install)
endfunction()

function(vcpkg_cmake_config_fixup)
    parse_arguments(CONFIG_PATH "")
    file(RENAME "${CURRENT_PACKAGES_DIR}/${arg_CONFIG_PATH}" "${CURRENT_PACKAGES_DIR}/share/${PORT}")
endfunction()

function(vcpkg_fixup_pkgconfig)
    parse_arguments("" "")
endfunction()

function(vcpkg_install_copyright)
    parse_arguments("" FILE_LIST)
    file(COPY_FILE ${arg_FILE_LIST} "${CURRENT_PACKAGES_DIR}/share/${PORT}/copyright")
endfunction()

include("${CURRENT_PORT_DIR}/portfile.cmake")
