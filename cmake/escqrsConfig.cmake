# find_package(escqrs CONFIG REQUIRED [COMPONENTS postgres sqlite testing])
#
# The core, escqrs::escqrs, always comes; each component brings escqrs::<component> and looks for its own dependencies only.
include(CMakeFindDependencyMacro)

set(_escqrs_known postgres sqlite testing)
foreach(_escqrs_component IN LISTS escqrs_FIND_COMPONENTS)
    if(NOT _escqrs_component IN_LIST _escqrs_known)
        list(JOIN _escqrs_known ", " _escqrs_known)
        set(escqrs_FOUND FALSE)
        set(escqrs_NOT_FOUND_MESSAGE "escqrs has no component '${_escqrs_component}'; it has: ${_escqrs_known}.")
        return()
    endif()
endforeach()

find_dependency(Boost 1.74)
include("${CMAKE_CURRENT_LIST_DIR}/escqrs_core.cmake")
foreach(_escqrs_component IN LISTS escqrs_FIND_COMPONENTS)
    if(_escqrs_component STREQUAL "postgres")
        find_dependency(PostgreSQL)
    elseif(_escqrs_component STREQUAL "sqlite")
        find_dependency(SQLite3)
        include("${CMAKE_CURRENT_LIST_DIR}/warn_of_sqlite.cmake")
    elseif(_escqrs_component STREQUAL "testing")
        find_package(Catch2 QUIET) # for <escqrs/testing/catch2.hpp>; the rest of the kit does without
    endif()
    include("${CMAKE_CURRENT_LIST_DIR}/escqrs_${_escqrs_component}.cmake")
    set(escqrs_${_escqrs_component}_FOUND TRUE)
endforeach()
