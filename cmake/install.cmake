include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(simgr_package_dir ${CMAKE_INSTALL_DATADIR}/cmake/simgr)
install(TARGETS simgr EXPORT simgr-targets FILE_SET HEADERS FILE_SET optional)
install(EXPORT simgr-targets NAMESPACE simgr:: DESTINATION ${simgr_package_dir})
configure_package_config_file(cmake/simgr-config.cmake.in simgr-config.cmake INSTALL_DESTINATION ${simgr_package_dir}
                              NO_SET_AND_CHECK_MACRO)
# Before 1.0 a minor version may break its users; headers alone fit any processor.
write_basic_package_version_file(simgr-config-version.cmake COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/simgr-config.cmake ${CMAKE_CURRENT_BINARY_DIR}/simgr-config-version.cmake
        DESTINATION ${simgr_package_dir})
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
