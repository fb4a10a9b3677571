# Installs escqrs into folders of several levels and into absolute ones: pkg-config finds the headers of each installation.
cmake_minimum_required(VERSION 3.25)

set(prefix "${work}/prefix")
foreach(layout IN ITEMS
    "include/of/escqrs!share/of/escqrs"
    "${work}/headers!share"
    "include!${work}/data"
)
    string(REPLACE "!" ";" folders "${layout}")
    list(GET folders 0 include)
    list(GET folders 1 data)
    file(REMOVE_RECURSE "${work}")
    execute_process(
        COMMAND "${CMAKE_COMMAND}" -S "${source}" -B "${work}/build" "-DCMAKE_CXX_COMPILER=${compiler}"
            "-DCMAKE_INSTALL_PREFIX=${prefix}" "-DCMAKE_INSTALL_INCLUDEDIR=${include}" "-DCMAKE_INSTALL_DATADIR=${data}"
            -DESCQRS_BUILD_TESTS=OFF -DESCQRS_BUILD_EXAMPLES=OFF -DESCQRS_BUILD_BENCHMARKS=OFF -DESCQRS_BUILD_TOOLS=OFF
        OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
    execute_process(COMMAND "${CMAKE_COMMAND}" --install "${work}/build" OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
    cmake_path(ABSOLUTE_PATH data BASE_DIRECTORY "${prefix}")
    set(ENV{PKG_CONFIG_PATH} "${data}/pkgconfig")
    execute_process(COMMAND "${pkg_config}" --variable=includedir escqrs OUTPUT_VARIABLE found
        OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
    if(NOT EXISTS "${found}/escqrs/escqrs.hpp")
        message(FATAL_ERROR "headers in '${include}', data in '${data}': pkg-config says '${found}', where no headers are")
    endif()
endforeach()
