"""Fits the Markdown files, which are written for GitHub, to the site that mkdocs makes of them.

- README.md, which becomes the first page, and CHANGELOG.md are pages though they are not in docs/.
- Links lead to pages where the site has them. Files of the tree are not on the site: their paths are shown, or links to
  `repo_url`/blob/main where mkdocs.yml has a `repo_url`.
- A list may follow a paragraph without an empty line.
"""
import os
import pathlib
import re

from mkdocs.structure.files import File

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
ROOT_PAGES = ["README.md", "CHANGELOG.md"]
FENCED = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s]+)\)")
LIST_AFTER_TEXT = re.compile(r"^(?!\s*(?:[-*] |\d+\. |\||#))(?! )(.+)\n(?=(?:- |1\. ))", re.MULTILINE)


def on_files(files, config):
    for file in [file for file in files if file.src_path.endswith((".py", ".txt", ".dox", "Doxyfile"))]:
        if DOCS.as_posix() in file.abs_src_path: # not the theme's
            files.remove(file)
    for page in ROOT_PAGES:
        files.append(File(page, str(ROOT), config["site_dir"], config["use_directory_urls"]))
    return files


def on_page_markdown(markdown, page, config, files):
    folder = pathlib.Path(page.file.abs_src_path).parent
    parts = FENCED.split(markdown)
    for index in range(0, len(parts), 2): # the others are blocks of code
        text = LIST_AFTER_TEXT.sub(r"\1\n\n", parts[index])
        parts[index] = LINK.sub(lambda link: fitted(link, folder, config.get("repo_url")), text)
    return "".join(parts)


def fitted(link, folder, repository):
    text, target = link.groups()
    path, _, heading = target.partition("#")
    if not path or re.match(r"[a-z]+:", target):
        return link[0]
    place = pathlib.Path(os.path.normpath(folder / path))
    if not place.is_relative_to(ROOT):
        return link[0]
    inside = place.relative_to(ROOT).as_posix()
    if inside in ROOT_PAGES or (place.is_relative_to(DOCS) and place.is_file()):
        here = folder.relative_to(DOCS) if folder.is_relative_to(DOCS) else "."
        page = os.path.relpath(inside.removeprefix("docs/"), here)
        return f"[{text}]({page}{'#' + heading if heading else ''})"
    if not place.exists():
        return link[0] # mkdocs complains of it
    if repository:
        return f"[{text}]({repository.rstrip('/')}/blob/main/{inside})"
    plain = text.strip("`")
    return f"`{inside}`" if inside.endswith(plain) else f"{text} (`{inside}`)"
