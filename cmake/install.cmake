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
