#!/usr/bin/env python3
"""Build the wheel `darkroom_client` of the schema that the code here gives: `python client/build.py build/client`.

The generated code is kept nowhere: it is made anew each time, and is never behind the API. It needs the packages that
the tests need, and no network.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent
PROGRAMS = Path(sys.executable).parent

# of a sparse answer the generated models would miss the fields that they are sure of
LEFT_OUT = {"fields"}
# what pages of a list are asked for by is the command's own business
PAGING = {"cursor", "page_size", "limit"}


def main() -> None:
    """Build the wheel and say where it is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="Where it is built; what lies there goes.")
    folder = parser.parse_args().folder.resolve()
    shutil.rmtree(folder, ignore_errors=True)
    source = folder / "source"
    shutil.copytree(HERE / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(HERE / "pyproject.toml", source)
    schema = made_schema(folder / "openapi.json")
    generate(schema, folder / "generated-from.json", source / "src" / "darkroom_client")
    filters = json.dumps(photo_filters(schema), indent=1)
    (source / "src" / "darkroom_cli" / "photo_filters.json").write_text(filters + "\n")
    _run(PROGRAMS / "uv", "build", "--quiet", "--wheel", "--offline", "--no-build-isolation", "--python",
         sys.executable, "--out-dir", folder, source)  # fmt: skip
    [wheel] = folder.glob("*.whl")
    sys.stdout.write(f"{wheel}\n")


def made_schema(file: Path) -> dict[str, Any]:
    """Write the schema of the API, checked, to a file, and give it."""
    settings = ("--settings", os.environ.get("DJANGO_SETTINGS_MODULE", "config.settings.test"))
    _run(sys.executable, "manage.py", "spectacular", "--validate", "--fail-on-warn", "--format", "openapi-json",
         "--file", file, *settings, cwd=REPOSITORY)  # fmt: skip
    return json.loads(file.read_text())


def generate(schema: dict[str, Any], file: Path, package: Path) -> None:
    """Make the package of all operations of the schema; a warning of the generator's ends it."""
    file.write_text(json.dumps(for_generator(schema)))
    _run(PROGRAMS / "openapi-python-client", "generate", "--fail-on-warning", "--meta", "none", "--path", file,
         "--config", HERE / "generator.yaml", "--custom-template-path", HERE / "templates", "--output-path",
         package)  # fmt: skip
    (package / "py.typed").touch()


def for_generator(schema: dict[str, Any]) -> dict[str, Any]:
    """Give the schema as the generator reads it: descriptions of parameters where it looks for them."""
    schema = json.loads(json.dumps(schema))
    for methods in schema["paths"].values():
        for operation in methods.values():
            kept = [one for one in operation.get("parameters", ()) if one["name"] not in LEFT_OUT]
            for one in kept:
                one["schema"]["description"] = one.get("description", "")
            operation["parameters"] = kept
    return schema


def photo_filters(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Give what photos are found by, as the command's options: name, type, help, choices, whether it is repeated."""
    found = []
    for one in schema["paths"]["/api/v1/photos"]["get"]["parameters"]:
        if one["name"] in PAGING | LEFT_OUT or one["in"] != "query":
            continue
        kind = one["schema"]
        is_repeated = kind["type"] == "array"
        value = kind["items"] if is_repeated else kind
        found.append(
            {
                "name": one["name"],
                "type": value.get("format") if value.get("format") in {"uuid", "date-time"} else value["type"],
                "choices": value.get("enum", []),
                "is_repeated": is_repeated,
                "help": "\n".join(line for line in one.get("description", "").splitlines() if line[:2] != "* ").strip(),
            }
        )
    return found


def _run(*command: str | Path, cwd: Path = HERE) -> None:
    environment = os.environ | {"PATH": f"{PROGRAMS}{os.pathsep}{os.environ.get('PATH', '')}"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{command[0]} failed.\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    main()
