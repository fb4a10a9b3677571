# An overlay port: it packages the clone that it is in, as it is.
set(SOURCE_PATH "${CURRENT_PORT_DIR}/../../..")
set(VCPKG_BUILD_TYPE release) # headers only
set(VCPKG_POLICY_SKIP_PKGCONFIG_CHECK enabled) # -pthread is all that the modules in share/pkgconfig link

vcpkg_cmake_configure(
    SOURCE_PATH "${SOURCE_PATH}"
    OPTIONS
        -DESCQRS_BUILD_TESTS=OFF
        -DESCQRS_BUILD_EXAMPLES=OFF
        -DESCQRS_BUILD_BENCHMARKS=OFF
        -DESCQRS_BUILD_TOOLS=OFF
)
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(CONFIG_PATH lib/cmake/escqrs)
vcpkg_fixup_pkgconfig()
file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/lib")
file(INSTALL "${CURRENT_PORT_DIR}/usage" DESTINATION "${CURRENT_PACKAGES_DIR}/share/${PORT}")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")
