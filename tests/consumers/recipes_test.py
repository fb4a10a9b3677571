# Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
"""Checks the vcpkg port and the Conan recipe without either tool: recipes_test.py <cmake> <generator>

Both are run with plain CMake in place of what vcpkg and Conan give them.
"""

import collections
import importlib.util
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import types
import unittest
from unittest import mock

ROOT = pathlib.Path(__file__).resolve().parents[2]
PORT = ROOT / "packaging/vcpkg/escqrs"
CMAKE, GENERATOR = sys.argv[1:]
# What each component needs, by the name that both vcpkg and Conan have for it.
PACKAGES = {"sqlite": "sqlite3", "postgres": "libpq", "testing": "catch2"}


def text_of(path):
    return (ROOT / path).read_text(encoding="utf-8")


def manifest():
    return json.loads(text_of(PORT / "vcpkg.json"))


def version():
    header = text_of("include/escqrs/version.hpp")
    return ".".join(re.findall(r"^#define ESCQRS_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)$", header, re.M))


def names_of(dependencies):
    return {item if isinstance(item, str) else item["name"] for item in dependencies}


def files_in(folder, pattern):
    return {str(path.relative_to(folder)) for path in folder.rglob(pattern)}


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout


class FakeConan:
    """The modules that the recipe imports; its CMake runs CMake."""

    class ConanFile:
        def __init__(self):
            self.options = types.SimpleNamespace(**self.default_options)
            self.options.get_safe = lambda name: getattr(self.options, name)
            self.settings = types.SimpleNamespace(os="Linux")
            self.required = []
            self.requires = lambda reference: self.required.append(reference)
            self.cpp_info = mock.Mock(components=collections.defaultdict(mock.Mock))

    class CMakeToolchain:
        def __init__(self, recipe):
            self.cache_variables = recipe.cache_variables = {}

        def generate(self):
            pass

    class CMake:
        def __init__(self, recipe):
            self.recipe = recipe

        def configure(self):
            variables = [f"-D{name}={value}" for name, value in self.recipe.cache_variables.items()]
            run(CMAKE, "-G", GENERATOR, "-S", self.recipe.source_folder, "-B", self.recipe.build_folder, *variables)

        def install(self):
            run(CMAKE, "--install", self.recipe.build_folder, "--prefix", self.recipe.package_folder)

    @classmethod
    def modules(cls):
        def copy(recipe, pattern, source, target):
            pathlib.Path(target).mkdir(parents=True, exist_ok=True)
            shutil.copy(pathlib.Path(source, pattern), target)

        def load(recipe, path):
            return pathlib.Path(path).read_text(encoding="utf-8")

        tools = {
            "conan": {"ConanFile": cls.ConanFile},
            "conan.tools": {},
            "conan.tools.build": {"check_min_cppstd": mock.Mock()},
            "conan.tools.cmake": {"CMake": cls.CMake, "CMakeToolchain": cls.CMakeToolchain, "CMakeDeps": mock.Mock(),
                                  "cmake_layout": mock.Mock()},
            "conan.tools.files": {"copy": copy, "load": load},
        }
        modules = {}
        for name, content in tools.items():
            modules[name] = types.ModuleType(name)
            vars(modules[name]).update(content)
        return modules


def recipe():
    with mock.patch.dict(sys.modules, FakeConan.modules()):
        spec = importlib.util.spec_from_file_location("recipe", ROOT / "conanfile.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    made = module.EscqrsConan()
    made.recipe_folder = str(ROOT)
    made.set_version()
    return made


class RecipesTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def assert_package(self, package, config):
        self.assertEqual(files_in(package / "include", "*.hpp"), files_in(ROOT / "include", "*.hpp"))
        self.assertEqual(files_in(package / "share/doc/escqrs/docs", "*.md"), files_in(ROOT / "docs", "*.md"))
        for component in ["core", *PACKAGES]:
            self.assertTrue((package / config / f"escqrs_{component}.cmake").is_file(), component)
        self.assertTrue((package / config / "escqrsConfig.cmake").is_file())

    def test_versions_agree(self):
        self.assertEqual(manifest()["version-semver"], version())
        self.assertEqual(recipe().version, version())
        self.assertEqual(re.findall(r"^## (\d\S*)", text_of("CHANGELOG.md"), re.M)[0], version())
        minor = version().rpartition(".")[0]
        pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
        projects = [path for folder in ("examples", "tests") for path in (ROOT / folder).glob("**/CMakeLists.txt")]
        text = "\n".join(text_of(path) for path in pages + projects)
        named = r"(?:find_package\(escqrs|^\| escqrs|this is version|\*\*Version) (0\.\d+)[ .]"
        self.assertEqual(set(re.findall(named, text, re.M)), {minor})
        self.assertEqual(set(re.findall(r"escqrs(?:/|-dev_)(\d+\.\d+\.\d+)", text)), {version()})

    def test_both_have_the_components_of_cmake(self):
        components = set(re.findall(r"^escqrs_add_component\((\w+)", text_of("CMakeLists.txt"), re.M)) - {"core"}
        self.assertEqual(set(manifest()["features"]), components)
        self.assertEqual(recipe().default_options, dict.fromkeys(components, False))
        self.assertEqual(type(recipe()).options, dict.fromkeys(components, [True, False]))
        self.assertEqual(set(PACKAGES), components)

    def test_the_port_depends_on_what_headers_include(self):
        text = "\n".join(text_of(path) for path in (ROOT / "include").rglob("*.hpp"))
        included = set(re.findall(r"^#include <boost/([\w.]+)", text, re.M))
        libraries = {{"archive": "serialization", "version.hpp": "config"}.get(name, name) for name in included}
        dependencies = names_of(manifest()["dependencies"])
        self.assertEqual({name for name in dependencies if name.startswith("boost-")},
                         {f"boost-{name}" for name in libraries | {"headers"}})
        for component, package in PACKAGES.items():
            self.assertEqual(names_of(manifest()["features"][component]["dependencies"]), {package})

    def test_the_port_makes_a_package(self):
        run(CMAKE, "-D", f"PORT_DIR={PORT}", "-D", f"GENERATOR={GENERATOR}", "-D", f"FOLDER={self.folder}", "-P",
            ROOT / "tests/consumers/vcpkg_port.cmake")
        package = self.folder / "package"
        self.assert_package(package, "share/escqrs")
        self.assertEqual({path.name for path in package.iterdir()}, {"include", "share"})
        self.assertEqual(text_of(package / "share/escqrs/copyright"), text_of("LICENSE"))
        self.assertIn("find_package(escqrs", text_of(package / "share/escqrs/usage"))

    def test_the_recipe_makes_a_package_of_what_it_exports(self):
        made = recipe()
        made.source_folder = str(self.folder / "source")
        made.build_folder = str(self.folder / "build")
        made.package_folder = str(self.folder / "package")
        for pattern in made.exports_sources:
            target = self.folder / "source" / pattern
            if pattern.endswith("/*"):
                shutil.copytree(ROOT / pattern[:-2], target.parent)
            else:
                target.parent.mkdir(exist_ok=True)
                shutil.copy(ROOT / pattern, target)
        made.generate()
        made.build()
        made.package()
        package = self.folder / "package"
        made.package_info()
        self.assert_package(package, made.cpp_info.components["core"].builddirs[0])
        self.assertEqual(text_of(package / "licenses/LICENSE"), text_of("LICENSE"))

    def test_the_recipe_requires_what_its_options_need(self):
        for component, package in PACKAGES.items():
            made = recipe()
            setattr(made.options, component, True)
            made.requirements()
            self.assertEqual([reference.partition("/")[0] for reference in made.required], ["boost", package])
            made.package_info()
            self.assertEqual(set(made.cpp_info.components), {"core", component})
            self.assertEqual(made.cpp_info.components[component].requires, ["core", f"{package}::{package}"])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
