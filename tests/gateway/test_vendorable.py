"""A folder that stands alone, under any name."""

import ast
import subprocess
import sys
from pathlib import Path

import guardian.gateway.client as client

FOLDER = Path(client.__file__).parent
OPTIONAL = {"cryptography"}  # where signatures are checked


def test_it_imports_nothing_but_itself_and_the_standard_library() -> None:
    files = list(FOLDER.glob("*.py"))
    assert files
    for file in files:
        tree = ast.parse(file.read_text("utf-8"))
        names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        froms = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        names |= {node.module or "" for node in froms if node.level == 0}
        assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names | OPTIONAL, file
        assert all((FOLDER / f"{node.module}.py").is_file() for node in froms if node.level == 1), file


def test_it_runs_alone_in_an_isolated_interpreter_without_site_packages(tmp_path: Path) -> None:
    copy = tmp_path / "mine"
    copy.mkdir()
    for file in FOLDER.glob("*.py"):
        (copy / file.name).write_bytes(file.read_bytes())
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from mine import client, aio, asgi; "
        "print(client.RevocationList('https://g.example', 't').is_revoked('a', 'b'))"
    )
    done = subprocess.run([sys.executable, "-S", "-I", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
    refused = program.replace("'t')", "'t', tenants='*', verify_with={'keys': []})")
    done = subprocess.run([sys.executable, "-S", "-I", "-c", refused], capture_output=True, text=True, check=False)
    assert "needs the package `cryptography`" in done.stderr
