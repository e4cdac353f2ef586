# SPDX-License-Identifier: Apache-2.0
"""tests/http/test_commands.py - docs/commands.md is what --help prints, and every option that a page names is there.

    COMMANDS=write python3 test_commands.py      writes the page"""
import glob
import os
import re
import subprocess
import unittest

from keystead import PROGRAM

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGE = os.path.join(ROOT, "docs", "commands.md")
SUBCOMMANDS = ("vault rekey",)  # with options of their own
HEAD = """# Commands

What `keystead --help` and `keystead COMMAND --help` print; this page is written by `COMMANDS=write` of tests/http/test_commands.py.
"""


def help_of(*words):
    done = subprocess.run([PROGRAM, *words, "--help"], capture_output=True, text=True, check=True)
    return done.stdout.rstrip() + "\n"


def commands():
    names = re.findall(r"^  ([a-z]+) ", help_of(), re.M)
    return sorted([*names, *SUBCOMMANDS])


def page():
    parts = [HEAD, "```\n" + help_of() + "```\n"]
    parts += [f"## keystead {name}\n\n```\n{help_of(*name.split())}```\n" for name in commands()]
    return "\n".join(parts)


def options(text):
    return set(re.findall(r"(?<![\w-])--([a-z][a-z0-9-]*)", text))


def pages():
    """The text of each page, with lines that end in a backslash joined, as a shell reads them."""
    names = [os.path.join(ROOT, x) for x in ("README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md")]
    for name in names + glob.glob(os.path.join(ROOT, "docs", "**", "*.md"), recursive=True):
        with open(name, encoding="utf-8") as f:
            yield os.path.relpath(name, ROOT), f.read().replace("\\\n", " ")


class Commands(unittest.TestCase):
    maxDiff = None

    def test_the_page_of_commands_is_what_help_prints(self):
        if os.environ.get("COMMANDS") == "write":
            with open(PAGE, "w", encoding="utf-8") as f:
                f.write(page())
        with open(PAGE, encoding="utf-8") as f:
            self.assertEqual(f.read(), page(), "COMMANDS=write writes it anew")

    def test_a_command_that_a_page_shows_has_the_options_that_it_shows(self):
        known = {name: options(help_of(*name.split())) for name in commands()}
        seen = 0
        for name, text in pages():
            for command, rest in re.findall(r"(?<![\w/.-])(?:build/)?keystead (" + "|".join(sorted(known, key=len, reverse=True)) + r")\b([^\n`;|&#]*)", text):
                with self.subTest(page=name, command=command):
                    self.assertLessEqual(options(rest), known[command] | {"help"})
                    seen += 1
        self.assertGreater(seen, 40)

    def test_an_option_that_a_page_names_by_itself_is_some_commands(self):
        known = {"help"}.union(*(options(help_of(*name.split())) for name in commands()))
        for name, text in pages():
            for option in re.findall(r"`--([a-z][a-z0-9-]*)", text):
                with self.subTest(page=name, option=option):
                    self.assertIn(option, known)


if __name__ == "__main__":
    unittest.main()
