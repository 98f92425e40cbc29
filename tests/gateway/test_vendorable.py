"""One file that stands alone."""

import ast
import subprocess
import sys
from pathlib import Path

import guardian.gateway.client as client

FILE = Path(client.__file__)


def test_it_imports_nothing_outside_the_standard_library() -> None:
    tree = ast.parse(FILE.read_text("utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "." for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names


def test_it_runs_alone_in_an_isolated_interpreter_without_site_packages(tmp_path: Path) -> None:
    copy = tmp_path / "revocations.py"
    copy.write_bytes(FILE.read_bytes())
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import revocations; "
        "print(revocations.RevocationList('https://g.example', 't').is_revoked('a', 'b'))"
    )
    done = subprocess.run([sys.executable, "-S", "-I", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
