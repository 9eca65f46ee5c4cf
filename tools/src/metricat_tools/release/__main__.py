"""`python -m metricat_tools release VERSION [--check|--notes]`: prepare, check and tag a release."""

import argparse
import subprocess
from collections.abc import Sequence
from pathlib import Path

from metricat_tools.errors import ToolError
from metricat_tools.release import versions

ROOT = Path(__file__).resolve().parents[4]


def main(arguments: Sequence[str]) -> None:
    """Write the version into all files; then, once they are committed, check everything and create the tag."""
    parser = argparse.ArgumentParser(prog="python -m metricat_tools release", description="Prepare and tag a release.")
    parser.add_argument("version", help="version without v, for example 1.2.3")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true", help="change nothing; fail if a file has another version")
    mode.add_argument("--notes", action="store_true", help="print the section of the changelog")
    options = parser.parse_args(arguments)
    versions.check(options.version)
    notes = versions.notes((ROOT / "CHANGELOG.md").read_text(), options.version)
    if options.notes:
        print(notes, end="")
        return
    if options.check:
        _check(options.version)
        return
    if changed := versions.write(ROOT, options.version):
        _run("make", "generate")
        print(f"wrote {options.version} into {', '.join(changed)}. Commit it, then run the same command again.")
        return
    _tag(options.version)


def _check(version: str) -> None:
    """Check that every file has this version."""
    wrong = [f"{path} has {', '.join(sorted(one))}" for path, one in versions.found(ROOT).items() if one != {version}]
    if wrong:
        raise ToolError(
            f"the version is not {version} everywhere: {'; '.join(wrong)}. Run make release VERSION={version}."
        )


def _tag(version: str) -> None:
    """Run all checks on the committed tree, and create the tag."""
    if changes := _output("git", "status", "--porcelain"):
        raise ToolError(f"the tree has changes that are not committed:\n{changes}\nCommit or remove them.")
    if _output("git", "tag", "--list", f"v{version}"):
        raise ToolError(f"the tag v{version} exists. Choose the next version.")
    _check(version)
    for target in ("lint", "verify", "scan-code", "sbom", "test", "test-e2e"):
        _run("make", target)
    _run("git", "tag", "--annotate", f"v{version}", "--message", f"Metricat {version}")
    print(f"created the tag v{version}. Publish it: git push origin v{version}")


def _run(*command: str) -> None:
    if subprocess.run(command, cwd=ROOT, check=False).returncode != 0:
        raise ToolError(f"{' '.join(command)} failed. Correct the failure above, and run make release again.")


def _output(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
