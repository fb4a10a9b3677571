# Installs each component as its own export set, so that a user finds only the dependencies of what they ask for.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/escqrs")
get_property(components GLOBAL PROPERTY escqrs_components)
foreach(name IN LISTS components)
    install(TARGETS escqrs_${name} EXPORT escqrs_${name} FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
        FILE_SET details DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
    install(EXPORT escqrs_${name} NAMESPACE escqrs:: DESTINATION "${package_dir}" FILE escqrs_${name}.cmake)
endforeach()

write_basic_package_version_file("${PROJECT_BINARY_DIR}/escqrsConfigVersion.cmake"
    COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES cmake/escqrsConfig.cmake cmake/warn_of_sqlite.cmake "${PROJECT_BINARY_DIR}/escqrsConfigVersion.cmake"
    DESTINATION "${package_dir}")
install(FILES LICENSE README.md CHANGELOG.md SECURITY.md DESTINATION "${CMAKE_INSTALL_DOCDIR}")
install(DIRECTORY docs DESTINATION "${CMAKE_INSTALL_DOCDIR}" FILES_MATCHING PATTERN "*.md" PATTERN "*.svg")

# For builds that are not CMake's: pkg-config --cflags --libs escqrs-sqlite
# What is installed may be moved, unless one of the folders is absolute.
set(pc_prefix "${CMAKE_INSTALL_PREFIX}")
if(NOT IS_ABSOLUTE "${CMAKE_INSTALL_DATADIR}")
    file(RELATIVE_PATH to_prefix "/prefix/${CMAKE_INSTALL_DATADIR}/pkgconfig" "/prefix")
    set(pc_prefix "\${pcfiledir}/${to_prefix}")
endif()
set(pc_includedir "${CMAKE_INSTALL_INCLUDEDIR}")
if(NOT IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
    set(pc_includedir "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
foreach(name IN LISTS components)
    set(module "escqrs-${name}")
    set(requires escqrs)
    set(description "CQRS and event sourcing for C++20: ${name}")
    if(name STREQUAL "core")
        set(module escqrs)
        set(requires "")
        set(description "${PROJECT_DESCRIPTION}")
    elseif(name STREQUAL "sqlite")
        string(APPEND requires " sqlite3")
    elseif(name STREQUAL "postgres")
        string(APPEND requires " libpq")
    endif()
    configure_file(cmake/escqrs.pc.in "${PROJECT_BINARY_DIR}/${module}.pc" @ONLY)
    install(FILES "${PROJECT_BINARY_DIR}/${module}.pc" DESTINATION "${CMAKE_INSTALL_DATADIR}/pkgconfig")
endforeach()
