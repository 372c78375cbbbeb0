"""Writes deepagents-0.2.8.json: what the file, shell and todo tools of two PyPI packages are called, take and answer.

Run once, by hand, when a package version changes; the product and its tests read only the table:

    python3 -m venv venv
    venv/bin/pip install deepagents==0.2.8 langchain==1.2.3
    venv/bin/pip install langgraph-prebuilt==1.0.5    # newer ones do not load with the langgraph that these two ask for
    venv/bin/python tests/compat/generate.py > tests/compat/deepagents-0.2.8.json

Facts only: names, argument schemas and the texts that calls come to. Each case runs in a fresh folder that holds
`files`; its path reads `{root}` in the table. `after` lists the files that the call changed. Descriptions stay out.
"""

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from deepagents.backends.filesystem import FilesystemBackend
from deepagents.backends.protocol import ExecuteResponse, SandboxBackendProtocol
from deepagents.middleware.filesystem import FilesystemMiddleware
from langchain.agents.middleware.todo import TodoListMiddleware
from langchain_core.utils.function_calling import convert_to_openai_tool

# Output bound of the shell backend below; the package leaves it to the backend.
OUTPUT_CHARS = 1000


class LocalBackend(FilesystemBackend, SandboxBackendProtocol):
    """The package's file backend, and a plain shell in the same folder."""

    @property
    def id(self):
        return "local"

    def execute(self, command):
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=self.cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        truncated = len(done.stdout) > OUTPUT_CHARS
        return ExecuteResponse(output=done.stdout[:OUTPUT_CHARS], exit_code=done.returncode, truncated=truncated)


TREE = {"a.txt": "one\ntwo\nthree\n", "src/main.py": "import os\nprint('one')\n", "src/deep/x.py": "one\none\n"}
NUMBERED = {"long.txt": "".join(f"line {n}\n" for n in range(1, 601))}
WIDE = {"wide.txt": "x" * 10001 + "\nshort\n"}
EDGE = {"edge.txt": "y" * 10000 + "\n"}
THREE = {"three.txt": "z" * 20001 + "\n"}

CASES = [
    ("ls", "a folder", TREE, {"path": "{root}"}),
    ("ls", "a folder below", TREE, {"path": "{root}/src"}),
    ("ls", "an empty folder", {"d/": None}, {"path": "{root}/d"}),
    ("ls", "a missing folder", TREE, {"path": "{root}/none"}),
    ("ls", "a file", TREE, {"path": "{root}/a.txt"}),
    ("ls", "a hidden file and a space", {".h": "1", "b c": "2"}, {"path": "{root}"}),
    ("ls", "a name with a quote", {"it's": "1", 'say "x"': "2"}, {"path": "{root}"}),
    ("ls", "a parent path", TREE, {"path": "{root}/../x"}),
    ("read_file", "a whole file", TREE, {"file_path": "{root}/a.txt"}),
    ("read_file", "without a last newline", {"n": "one\ntwo"}, {"file_path": "{root}/n"}),
    ("read_file", "a blank line inside", {"n": "one\n\ntwo\n"}, {"file_path": "{root}/n"}),
    ("read_file", "carriage returns", {"n": "one\r\ntwo\r\n"}, {"file_path": "{root}/n"}),
    ("read_file", "the default limit", NUMBERED, {"file_path": "{root}/long.txt"}),
    ("read_file", "a page", NUMBERED, {"file_path": "{root}/long.txt", "offset": 100, "limit": 3}),
    ("read_file", "the last page", NUMBERED, {"file_path": "{root}/long.txt", "offset": 598, "limit": 10}),
    ("read_file", "past the end", NUMBERED, {"file_path": "{root}/long.txt", "offset": 600}),
    ("read_file", "a limit of zero", TREE, {"file_path": "{root}/a.txt", "limit": 0}),
    ("read_file", "an empty file", {"e": ""}, {"file_path": "{root}/e"}),
    ("read_file", "only white space", {"e": " \n\n"}, {"file_path": "{root}/e"}),
    ("read_file", "a missing file", TREE, {"file_path": "{root}/none"}),
    ("read_file", "a folder", TREE, {"file_path": "{root}/src"}),
    ("read_file", "a line of 10,001 characters", WIDE, {"file_path": "{root}/wide.txt"}),
    ("read_file", "a line of 10,000 characters", EDGE, {"file_path": "{root}/edge.txt"}),
    ("read_file", "a line of 20,001 characters", THREE, {"file_path": "{root}/three.txt"}),
    ("read_file", "not UTF-8", {"b": b"\xff\xfe\x00x"}, {"file_path": "{root}/b"}),
    ("read_file", "a relative path", TREE, {"file_path": "a.txt"}),
    ("write_file", "a new file", TREE, {"file_path": "{root}/new.txt", "content": "hello\n"}),
    ("write_file", "a new file in a new folder", TREE, {"file_path": "{root}/p/q/new.txt", "content": "x"}),
    ("write_file", "an empty file", TREE, {"file_path": "{root}/new.txt", "content": ""}),
    ("write_file", "an existing file", TREE, {"file_path": "{root}/a.txt", "content": "x"}),
    ("write_file", "a folder", TREE, {"file_path": "{root}/src", "content": "x"}),
    ("write_file", "below a file", TREE, {"file_path": "{root}/a.txt/b", "content": "x"}),
    ("edit_file", "one place", TREE, {"file_path": "{root}/a.txt", "old_string": "two", "new_string": "2"}),
    ("edit_file", "nothing found", TREE, {"file_path": "{root}/a.txt", "old_string": "four", "new_string": "4"}),
    ("edit_file", "several places", TREE, {"file_path": "{root}/src/deep/x.py", "old_string": "one", "new_string": "1"}),
    ("edit_file", "replace all", TREE,
     {"file_path": "{root}/src/deep/x.py", "old_string": "one", "new_string": "1", "replace_all": True}),
    ("edit_file", "replace all, one place", TREE,
     {"file_path": "{root}/a.txt", "old_string": "two", "new_string": "2", "replace_all": True}),
    ("edit_file", "over two lines", TREE,
     {"file_path": "{root}/a.txt", "old_string": "one\ntwo", "new_string": "1\n2"}),
    ("edit_file", "to nothing", TREE, {"file_path": "{root}/a.txt", "old_string": "two\n", "new_string": ""}),
    ("edit_file", "the same text", TREE, {"file_path": "{root}/a.txt", "old_string": "two", "new_string": "two"}),
    ("edit_file", "an empty old string", {"n": "ab"}, {"file_path": "{root}/n", "old_string": "", "new_string": "x"}),
    ("edit_file", "overlapping places", {"n": "aaaa"}, {"file_path": "{root}/n", "old_string": "aaa", "new_string": "b"}),
    ("edit_file", "a missing file", TREE, {"file_path": "{root}/none", "old_string": "a", "new_string": "b"}),
    ("edit_file", "a folder", TREE, {"file_path": "{root}/src", "old_string": "a", "new_string": "b"}),
    ("glob", "all of a kind", TREE, {"pattern": "**/*.py", "path": "{root}"}),
    ("glob", "a name at any depth", TREE, {"pattern": "*.py", "path": "{root}"}),
    ("glob", "without a path", TREE, {"pattern": "*.txt"}),
    ("glob", "below a folder", TREE, {"pattern": "*.py", "path": "{root}/src/deep"}),
    ("glob", "a pattern with a folder", TREE, {"pattern": "src/*.py", "path": "{root}"}),
    ("glob", "a leading slash", TREE, {"pattern": "/*.txt", "path": "{root}"}),
    ("glob", "one character", TREE, {"pattern": "?.txt", "path": "{root}"}),
    ("glob", "a class", TREE, {"pattern": "[ab].txt", "path": "{root}"}),
    ("glob", "hidden files", {".h.py": "", "g.py": ""}, {"pattern": "*.py", "path": "{root}"}),
    ("glob", "folders do not count", TREE, {"pattern": "src", "path": "{root}"}),
    ("glob", "nothing", TREE, {"pattern": "*.rs", "path": "{root}"}),
    ("glob", "a missing folder", TREE, {"pattern": "*", "path": "{root}/none"}),
    ("grep", "files, the default", TREE, {"pattern": "one", "path": "{root}"}),
    ("grep", "content", TREE, {"pattern": "one", "path": "{root}", "output_mode": "content"}),
    ("grep", "count", TREE, {"pattern": "one", "path": "{root}", "output_mode": "count"}),
    ("grep", "one kind of file", TREE, {"pattern": "one", "path": "{root}", "glob": "*.py"}),
    ("grep", "one of two kinds", TREE, {"pattern": "one", "path": "{root}", "glob": "*.{txt,rs}"}),
    ("grep", "without a path", TREE, {"pattern": "import"}),
    ("grep", "nothing", TREE, {"pattern": "absent", "path": "{root}"}),
    ("grep", "nothing, content", TREE, {"pattern": "absent", "path": "{root}", "output_mode": "content"}),
    ("grep", "a missing folder", TREE, {"pattern": "one", "path": "{root}/none"}),
    ("grep", "a file as path", {"only.txt": "one\n"}, {"pattern": "one", "path": "{root}/only.txt"}),
    ("grep", "a dot, which the package reads as a pattern", {"n": "a.b\naxb\n"},
     {"pattern": "a.b", "path": "{root}", "output_mode": "content"}),
    ("grep", "a bracket, which the package cannot read as a pattern", {"n": "f(x\n"}, {"pattern": "f(x", "path": "{root}"}),
    ("execute", "success", TREE, {"command": "echo hello"}),
    ("execute", "success without a newline", TREE, {"command": "printf hello"}),
    ("execute", "success without output", TREE, {"command": "true"}),
    ("execute", "failure", TREE, {"command": "echo no; exit 3"}),
    ("execute", "both outputs", TREE, {"command": "echo out; echo err >&2"}),
    ("execute", "a change", TREE, {"command": "echo x > made.txt"}),
    ("execute", "truncated output", TREE, {"command": "i=0; while [ $i -lt 600 ]; do echo x; i=$((i+1)); done"}),
    ("execute", "truncated output of a failure", TREE,
     {"command": "i=0; while [ $i -lt 600 ]; do echo x; i=$((i+1)); done; exit 2"}),
    ("write_todos", "one", {}, {"todos": [{"content": "read the data", "status": "pending"}]}),
    ("write_todos", "three states", {}, {"todos": [
        {"content": "a", "status": "completed"},
        {"content": "b", "status": "in_progress"},
        {"content": "c", "status": "pending"}]}),
    ("write_todos", "none", {}, {"todos": []}),
    ("write_todos", "quotes, a backslash, a line break and other letters", {}, {"todos": [
        {"content": "it's", "status": "pending"},
        {"content": 'say "x"', "status": "pending"},
        {"content": "it's \"both\"", "status": "pending"},
        {"content": "a\\b\nc\td é 漢 \u200b\u0007", "status": "pending"}]}),
]


def lay_out(root, files):
    for name, content in files.items():
        path = root / name
        if content is None:
            path.mkdir(parents=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def snapshot(root):
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def placed(value, root):
    return json.loads(json.dumps(value).replace("{root}", str(root)))


def call(tools, tool, args):
    """The text as a model reads it, or the exception that the tool lets out."""
    extra = {"tool_call_id": "call-1"} if tool == "write_todos" else {"runtime": None}
    try:
        answer = tools[tool].func(**args, **extra)
    except Exception as error:  # noqa: BLE001 - the fact recorded is that it is raised
        return {"raises": type(error).__name__, "text": str(error)}
    if not isinstance(answer, str):
        answer = answer.update["messages"][0].content
    return {"text": answer}


def run_case(tool, name, files, args):
    root = Path(tempfile.mkdtemp(prefix="compat-")).resolve()
    try:
        lay_out(root, files)
        before = snapshot(root)
        backend = LocalBackend(root_dir=root)
        tools = {t.name: t for t in FilesystemMiddleware(backend=backend).tools + TodoListMiddleware().tools}
        got = call(tools, tool, placed(args, root))
        after = {k: v.decode() for k, v in snapshot(root).items() if before.get(k) != v}
    finally:
        shutil.rmtree(root)
    got["text"] = got["text"].replace(str(root), "{root}")
    shown = {k: {"bytes": list(v)} if isinstance(v, bytes) else v for k, v in files.items()}
    return {"tool": tool, "case": name, "files": shown, "args": args, **got, "after": after}


def schema(tool):
    parameters = convert_to_openai_tool(tool)["function"]["parameters"]

    def bare(node):
        if isinstance(node, dict):
            return {k: bare(v) for k, v in node.items() if k not in ("description", "title") or isinstance(v, dict)}
        return [bare(v) for v in node] if isinstance(node, list) else node

    return bare(parameters)


def main():
    # Its own search, not the machine's `rg`: the table must not depend on what is installed.
    os.environ["PATH"] = "/usr/bin:/bin"
    if shutil.which("rg"):
        sys.exit("rg is on /usr/bin or /bin: the package would use it")
    with tempfile.TemporaryDirectory() as folder:
        tools = FilesystemMiddleware(backend=LocalBackend(root_dir=folder)).tools + TodoListMiddleware().tools
        schemas = [{"name": t.name, "parameters": schema(t)} for t in tools]
    table = {
        "packages": {p: importlib.metadata.version(p) for p in ("deepagents", "langchain", "langchain-core")},
        "output_chars": OUTPUT_CHARS,
        "tools": schemas,
        "cases": [run_case(*case) for case in CASES],
    }
    json.dump(table, sys.stdout, indent=1, ensure_ascii=True)
    print()


if __name__ == "__main__":
    main()
