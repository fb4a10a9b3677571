# Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
"""The recipe for Conan 2: conan create . -s compiler.cppstd=20 --build=missing"""

import os
import re

from conan import ConanFile
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load

required_conan_version = ">=2.0"


class EscqrsConan(ConanFile):
    name = "escqrs"
    description = "CQRS and event sourcing for C++20"
    license = "BSL-1.0"
    topics = ("cqrs", "event-sourcing", "header-only")
    package_type = "header-library"
    settings = "os", "arch", "compiler", "build_type"
    # The package holds all headers; a component's option adds what they need.
    options = {"sqlite": [True, False], "postgres": [True, False], "testing": [True, False]}
    default_options = {"sqlite": False, "postgres": False, "testing": False}
    implements = ["auto_header_only"]
    exports_sources = ("CMakeLists.txt", "cmake/*", "include/*", "docs/*", "LICENSE", "README.md", "CHANGELOG.md",
                       "SECURITY.md")
    test_package_folder = "tests/consumers/conan"

    def set_version(self):
        header = load(self, os.path.join(self.recipe_folder, "include", "escqrs", "version.hpp"))
        self.version = ".".join(re.findall(r"^#define ESCQRS_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)$", header, re.M))

    def requirements(self):
        self.requires("boost/[>=1.74 <2]")
        if self.options.sqlite:
            self.requires("sqlite3/[>=3.40 <4]")
        if self.options.postgres:
            self.requires("libpq/[>=13]")
        if self.options.testing:
            self.requires("catch2/[>=2.13 <4]")

    def validate(self):
        check_min_cppstd(self, 20)

    def layout(self):
        cmake_layout(self)

    def generate(self):
        CMakeDeps(self).generate()
        toolchain = CMakeToolchain(self)
        for part in "TESTS", "EXAMPLES", "BENCHMARKS", "TOOLS":
            toolchain.cache_variables[f"ESCQRS_BUILD_{part}"] = False
        toolchain.generate()

    def build(self):
        CMake(self).configure()

    def package(self):
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))
        CMake(self).install()

    def package_info(self):
        # find_package(escqrs) finds the package's own configuration: it has the components, and names an unknown one.
        self.cpp_info.set_property("cmake_find_mode", "none")
        needs = {"core": "boost::headers", "sqlite": "sqlite3::sqlite3", "postgres": "libpq::libpq",
                 "testing": "catch2::catch2"}
        for name, requirement in needs.items():
            if name != "core" and not self.options.get_safe(name):
                continue
            component = self.cpp_info.components[name]
            component.requires = [requirement] if name == "core" else ["core", requirement]
            component.builddirs = [os.path.join("lib", "cmake", "escqrs")]
            component.bindirs = component.libdirs = []
            component.set_property("pkg_config_name", "escqrs" if name == "core" else f"escqrs-{name}")
        if self.settings.os in ("Linux", "FreeBSD"):
            self.cpp_info.components["core"].system_libs = ["pthread"]
