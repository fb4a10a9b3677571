# Finds Apache Qpid Proton: its AMQP 1.0 engine, its event loop, and the C++ message class.
#
# Defines the target Proton::Proton. Where Proton brings its own package configuration, that one is taken. Debian 12's
# development package brings none, and lacks the links that name two of the three libraries without their version.

find_package(ProtonCpp CONFIG QUIET)
find_package(Proton CONFIG QUIET COMPONENTS Core Proactor)
if(TARGET Proton::cpp AND TARGET Proton::core AND TARGET Proton::proactor)
    if(NOT TARGET Proton::Proton)
        add_library(Proton::Proton INTERFACE IMPORTED)
        target_link_libraries(Proton::Proton INTERFACE Proton::cpp Proton::core Proton::proactor)
    endif()
    set(Proton_FOUND TRUE)
    return()
endif()

find_path(Proton_INCLUDE_DIR proton/message.hpp)
find_library(Proton_CPP_LIBRARY qpid-proton-cpp)
find_library(Proton_CORE_LIBRARY NAMES qpid-proton-core libqpid-proton-core.so.10)
find_library(Proton_PROACTOR_LIBRARY NAMES qpid-proton-proactor libqpid-proton-proactor.so.1)
mark_as_advanced(Proton_INCLUDE_DIR Proton_CPP_LIBRARY Proton_CORE_LIBRARY Proton_PROACTOR_LIBRARY)

if(Proton_INCLUDE_DIR AND EXISTS "${Proton_INCLUDE_DIR}/proton/version.h")
    foreach(part MAJOR MINOR)
        file(STRINGS "${Proton_INCLUDE_DIR}/proton/version.h" line REGEX "define PN_VERSION_${part} ")
        string(REGEX REPLACE ".* ([0-9]+)$" "\\1" Proton_VERSION_${part} "${line}")
    endforeach()
    set(Proton_VERSION "${Proton_VERSION_MAJOR}.${Proton_VERSION_MINOR}")
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Proton
    REQUIRED_VARS Proton_CPP_LIBRARY Proton_CORE_LIBRARY Proton_PROACTOR_LIBRARY Proton_INCLUDE_DIR
    VERSION_VAR Proton_VERSION
    REASON_FAILURE_MESSAGE "On Debian: apt-get install libqpid-proton-cpp12-dev")

if(Proton_FOUND AND NOT TARGET Proton::Proton)
    add_library(Proton::Proton INTERFACE IMPORTED)
    target_include_directories(Proton::Proton INTERFACE "${Proton_INCLUDE_DIR}")
    target_link_libraries(Proton::Proton INTERFACE
        "${Proton_CPP_LIBRARY}" "${Proton_CORE_LIBRARY}" "${Proton_PROACTOR_LIBRARY}")
endif()
