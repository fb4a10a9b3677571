# Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
"""Builds and runs the consumer of find_package with the package that Conan has made."""

import os

from conan import ConanFile
from conan.tools.build import can_run
from conan.tools.cmake import CMake, CMakeToolchain, cmake_layout


class EscqrsTestConan(ConanFile):
    settings = "os", "arch", "compiler", "build_type"
    generators = "CMakeDeps"

    def requirements(self):
        self.requires(self.tested_reference_str)

    def layout(self):
        cmake_layout(self)

    def generate(self):
        toolchain = CMakeToolchain(self)
        toolchain.cache_variables["COMPONENTS"] = ";".join(self.components())
        toolchain.generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure(build_script_folder="../find_package")
        cmake.build()

    def test(self):
        if can_run(self):
            self.run(os.path.join(self.cpp.build.bindir, "core_consumer"), env="conanrun")
            if "sqlite" in self.components():
                self.run(os.path.join(self.cpp.build.bindir, "sqlite_consumer"), env="conanrun")

    def components(self):
        options = self.dependencies["escqrs"].options
        return [name for name in ("sqlite", "postgres", "testing") if options.get_safe(name)]
