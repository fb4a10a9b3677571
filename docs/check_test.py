"""Shows check.py a small tree, first in order, then with one thing wrong at a time."""
import pathlib
import tempfile
import unittest
from unittest import mock

import check

TREE = {
    "include/part.hpp": "#pragma once\n\nclass Part {\n    int size = 0;\n};\n",
    "include/escqrs/wheels/wheel.hpp": "#pragma once\n",
    "docs/wheels.md": "# Wheels\n",
    "scripts/run": "#!/bin/sh\necho --fast\n",
    "tests/part_test.cpp": 'TEST_CASE("a part has a size")\n{\n}\n',
    "docs/promises.md": '# Promises\n### Size\nA `Part` has one.\n- [part](../tests/part_test.cpp): "a part has a size"\n',
    "README.md": "# Parts\nSee [size](docs/promises.md#size), `include/part.hpp`, `--fast`.\n"
                 "<!-- include/part.hpp -->\n```cpp\nint size = 0;\n```\n```console\n$ scripts/run\n```\n",
}


class CheckTest(unittest.TestCase):
    def complaints(self, file="README.md", old="", new=""):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in TREE.items():
                path = pathlib.Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text.replace(old, new) if old and name == file else text)
            return check.Check(folder).run()

    def test_a_tree_in_order(self):
        self.assertEqual(self.complaints(), [])

    def test_a_room_without_a_page(self):
        with mock.patch.dict(TREE):
            del TREE["docs/wheels.md"]
            self.assertEqual(self.complaints(), ["include/escqrs/wheels:0: there is no docs/wheels.md for this room"])

    def test_one_thing_wrong(self):
        for file, old, new, complaint in [
            ("README.md", "int size = 0;", "int size = 1;", "README.md:4: these lines do not stand so in include/part.hpp"),
            ("README.md", "<!-- include/part.hpp -->", "", "no comment above this block"),
            ("README.md", "<!-- include/part.hpp", "<!-- include/whole.hpp", "there is no include/whole.hpp"),
            ("README.md", "$ scripts/run", "$ scripts/walk", "there is no scripts/walk"),
            ("README.md", "promises.md#size", "promise.md#size", "leads nowhere"),
            ("README.md", "#size", "#weight", "a heading that is not there"),
            ("README.md", "`include/part.hpp`", "`include/whole.hpp`", "there is no include/whole.hpp"),
            ("README.md", "`--fast`", "`--slow`", "the option --slow does not occur"),
            ("README.md", "run\n```\n", "run\n", "this block has no end"),
            ("docs/promises.md", "`Part`", "`Whole`", "Whole does not occur in the code"),
            ("docs/promises.md", '"a part has a size"', '"a part has a weight"', "has no test 'a part has a weight'"),
            ("docs/promises.md", "- [part]", "[part]", "'Size' names no test"),
        ]:
            with self.subTest(complaint):
                found = self.complaints(file, old, new)
                self.assertEqual(len(found), 1, found)
                self.assertIn(complaint, found[0])


if __name__ == "__main__":
    unittest.main()
