"""Compares the Markdown files with the tree they speak of: python3 docs/check.py

- A block of code stands under a comment that names a file, <!-- path -->, and its lines stand in that file one after the
  other. Blocks of "text" (drawings) are free; in blocks of "console" the scripts must exist.
- Links within the tree lead to a file, and to a heading where they name one.
- `path/to/file.hpp` exists, `Identifier` occurs in the code, and `--option` in the code or the scripts.
- Each room, a folder in include/escqrs, has a page of its name.
- In promises.md each third-level section has a list item that links to a test file; the "quoted" texts in such an item are
  names of test cases, sections or functions in that file.
"""
import pathlib
import re
import sys
import textwrap

PAGES = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/**/*.md", "examples/conference/*/README.md"]
CODE = ["include/**/*.hpp", "examples/**/*.?pp", "tests/**/*.?pp", "tests/**/*.py", "**/CMakeLists.txt", "cmake/*.cmake",
        "CMakePresets.json", "scripts/*"]
SOURCE_ENDINGS = "hpp|cpp|md|py|cmake|js|css|html|json|txt"


class Check:
    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.complaints = []
        code_files = [path for pattern in CODE for path in self.root.glob(pattern)
                      if path.is_file() and path.relative_to(self.root).parts[0] != "build"]
        text = "\n".join(path.read_text(errors="replace") for path in code_files)
        self.words = set(re.findall(r"\w+", text))
        self.dashed_words = set(re.findall(r"[\w-]+", text))

    def run(self):
        pages = sorted({page for pattern in PAGES for page in self.root.glob(pattern)})
        if not pages:
            self.complain(self.root, 0, "there are no pages here")
        for room in sorted(path for path in self.root.glob("include/escqrs/*") if path.is_dir()):
            if not (self.root / "docs" / f"{room.name}.md").exists():
                self.complain(room, 0, f"there is no docs/{room.name}.md for this room")
        for page in pages:
            lines = page.read_text().splitlines()
            prose = self.check_blocks(page, lines)
            for number, line in prose:
                self.check_links(page, number, line)
                self.check_names(page, number, line)
            if page.name == "promises.md":
                self.check_promises(page, prose)
        return self.complaints

    def complain(self, page, number, text):
        self.complaints.append(f"{page.relative_to(self.root)}:{number}: {text}")

    def check_blocks(self, page, lines):
        """Returns the numbered lines outside of blocks."""
        prose, block, opened, language, source = [], [], 0, "", None
        for number, line in enumerate(lines, 1):
            if opened:
                if line.strip() == "```":
                    self.check_block(page, opened, language, source, block)
                    opened = 0
                else:
                    block.append(line)
            elif line.startswith("```"):
                named = re.fullmatch(r"<!-- (\S+) -->", lines[number - 2].strip()) if number > 1 else None
                block, opened, language, source = [], number, line[3:], named and named[1]
            else:
                prose.append((number, line))
        if opened:
            self.complain(page, opened, "this block has no end")
        return prose

    def check_block(self, page, number, language, source, block):
        if language == "console":
            for script in re.findall(r"(?<![\w/])scripts/[\w-]+", "\n".join(block)):
                if not (self.root / script).exists():
                    self.complain(page, number, f"there is no {script}")
        elif source is None:
            if language != "text":
                self.complain(page, number, "no comment above this block names the file it is from")
        elif not (self.root / source).is_file():
            self.complain(page, number, f"there is no {source}")
        elif not stands_in(block, (self.root / source).read_text().splitlines()):
            self.complain(page, number, f"these lines do not stand so in {source}")

    def check_links(self, page, number, line):
        for target in re.findall(r"\]\(([^)\s]+)\)", line):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, heading = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            if not file.exists():
                self.complain(page, number, f"the link {target} leads nowhere")
            elif heading and heading not in headings(file.read_text()):
                self.complain(page, number, f"the link {target} leads to a heading that is not there")

    def check_names(self, page, number, line):
        for name in re.findall(r"`([^`]+)`", line):
            if re.fullmatch(rf"[\w.-]+(/[\w.-]+)*/[\w.-]+\.({SOURCE_ENDINGS})", name):
                places = [self.root / name, self.root / "include/escqrs" / name, page.parent / name]
                if not any(place.exists() for place in places):
                    self.complain(page, number, f"there is no {name}")
            elif re.fullmatch(r"(\w+::)*[A-Za-z_]\w*(\(\))?", name):
                if name.removesuffix("()").split("::")[-1] not in self.words:
                    self.complain(page, number, f"{name} does not occur in the code")
            elif re.fullmatch(r"--[a-z][\w-]*", name):
                if not {name, name[2:]} & self.dashed_words:
                    self.complain(page, number, f"the option {name} does not occur in the code")

    def check_promises(self, page, prose):
        section = None
        for number, line in prose + [(0, "### end")]:
            if line.startswith("#"):
                if section and not section[2]:
                    self.complain(page, section[0], f"'{section[1]}' names no test")
                section = [number, line.strip("# "), False] if line.startswith("### ") else None
            item = re.match(r"- \[[^]]+\]\(([^)]+)\)(.*)", line)
            if item and section:
                section[2] = True
                file = (page.parent / item[1]).resolve()
                known = test_names(file.read_text()) if file.is_file() else set()
                for title in re.findall(r'"([^"]+)"', item[2]):
                    if title not in known:
                        self.complain(page, number, f"{item[1]} has no test '{title}'")


def stands_in(block, lines):
    wanted = textwrap.dedent("\n".join(block)).splitlines()
    return bool(wanted) and any(textwrap.dedent("\n".join(lines[begin:begin + len(block)])).splitlines() == wanted
                                for begin in range(len(lines) - len(block) + 1))


def headings(text):
    """The anchors of a page, as GitHub makes them."""
    found = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


def test_names(text):
    """Of Catch2 test cases and sections, also after a macro's parameter; of ctest cases; of Python functions."""
    catch = re.findall(r'(?:TEST_CASE|SECTION)\w*\s*\(\s*(?:\w+\s+)?"([^"]+)"', text)
    ctest = re.findall(r'(?:NAME|add_\w+_test\(|add_consumer\()\s*"([^"]+)"', text)
    return {title.strip() for title in catch + ctest + re.findall(r"^\s*def (\w+)", text, re.MULTILINE)}


if __name__ == "__main__":
    complaints = Check(pathlib.Path(__file__).resolve().parent.parent).run()
    print("\n".join(complaints) if complaints else "the pages are true to the tree")
    sys.exit(1 if complaints else 0)
