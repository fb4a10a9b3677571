# escqrs_add_component(<name> [HEADERS <file in include/escqrs>...] ROOMS <folder in include/escqrs>...)
#
# Makes the interface target escqrs_<name>, alias escqrs::<name>; the core is escqrs::escqrs. The caller links its dependencies.
# A room's headers are those in its folder, and its umbrella next to the folder.
function(escqrs_add_component name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "HEADERS;ROOMS")
    set(target escqrs_${name})
    set(exported ${name})
    if(name STREQUAL "core")
        set(exported escqrs)
    endif()

    list(TRANSFORM arg_HEADERS PREPEND "${PROJECT_SOURCE_DIR}/include/escqrs/" OUTPUT_VARIABLE headers)
    foreach(room IN LISTS arg_ROOMS)
        set(folder "${PROJECT_SOURCE_DIR}/include/escqrs/${room}")
        file(GLOB_RECURSE found CONFIGURE_DEPENDS "${folder}/*.hpp")
        file(GLOB umbrella CONFIGURE_DEPENDS "${folder}.hpp")
        list(APPEND headers ${umbrella} ${found})
    endforeach()
    add_library(${target} INTERFACE)
    add_library(escqrs::${exported} ALIAS ${target})
    set_target_properties(${target} PROPERTIES EXPORT_NAME ${exported})
    target_compile_features(${target} INTERFACE cxx_std_20)
    # What is in detail/ is a separate set: only public headers must compile alone.
    set(details ${headers})
    list(FILTER details INCLUDE REGEX "/detail/")
    list(FILTER headers EXCLUDE REGEX "/detail/")
    target_sources(${target} INTERFACE
        FILE_SET HEADERS BASE_DIRS "${PROJECT_SOURCE_DIR}/include" FILES ${headers}
        FILE_SET details TYPE HEADERS BASE_DIRS "${PROJECT_SOURCE_DIR}/include" FILES ${details})
    set_target_properties(${target} PROPERTIES INTERFACE_HEADER_SETS_TO_VERIFY HEADERS)
    set_property(GLOBAL APPEND PROPERTY escqrs_components ${name})
endfunction()

# escqrs_headers_of(<component's target> <variable>) sets the variable to all its headers, public or not.
function(escqrs_headers_of target variable)
    get_target_property(public ${target} HEADER_SET)
    get_target_property(details ${target} HEADER_SET_details)
    set(${variable} ${public} ${details} PARENT_SCOPE)
endfunction()
