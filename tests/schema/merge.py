"""The Matrix specification's OpenAPI files as one document that says what this server serves.

References are inlined, base paths prefixed, and operations left out that `docs/endpoints.tsv` names no test for.
Arguments get values that exist on the server under test, beside others that don't.
"""

import csv
import json
import pathlib
import re

import yaml

# Devices' names and addresses are `null` where they are not known: matrix-nio refuses an answer without them.
NULLABLE = {"getDevices", "getDevice"}

# Deeper nesting than any that is not a reference in a circle.
DEPTH_MAX = 60


class Spec:
    def __init__(self, root):
        self.folder = pathlib.Path(root) / "data/api/client-server"
        self.files = {}

    def load(self, path):
        path = path.resolve()
        if path not in self.files:
            text = path.read_text(encoding="utf-8")
            self.files[path] = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
        return self.files[path]

    def inline(self, value, path, open_references=()):
        """`value` of the file at `path` without references; one in a circle stands for anything."""
        if len(open_references) > DEPTH_MAX:
            return {}
        if isinstance(value, list):
            return [self.inline(entry, path, open_references) for entry in value]
        if not isinstance(value, dict):
            return value
        if isinstance(value.get("$ref"), str):
            name, _, pointer = value["$ref"].partition("#")
            target = (path.parent / name).resolve() if name else path
            if (target, pointer) in open_references:
                return {}
            found = self.load(target)
            for part in filter(None, pointer.split("/")):
                found = found[part.replace("~1", "/").replace("~0", "~")]
            found = self.inline(found, target, (*open_references, (target, pointer)))
            rest = {key: entry for key, entry in value.items() if key != "$ref"}
            return {**found, **self.inline(rest, path, open_references)} if isinstance(found, dict) else found
        kept = {key: entry for key, entry in value.items() if key != "examples"}
        return {key: self.inline(entry, path, open_references) for key, entry in kept.items()}

    def operations(self):
        """Path, method and inlined operation of everything in the files."""
        for file in sorted(self.folder.glob("*.yaml")):
            document = self.load(file)
            servers = document.get("servers") or []
            if not servers:
                continue
            base = servers[0]["variables"]["basePath"]["default"]
            for path, methods in document.get("paths", {}).items():
                for method, operation in methods.items():
                    if method in ("get", "put", "post", "delete"):
                        yield base + path.strip(), method, self.inline(operation, file)


def served(listing):
    with open(listing, encoding="utf-8") as rows:
        for row in csv.DictReader(rows, delimiter="\t"):
            if row["api"] == "client-server" and row["test"]:
                yield row["method"].lower(), row["path"].strip()


def merge(spec_root, listing, values, left_out):
    """The document, for arguments called as the keys of `values`, without the operations in `left_out`."""
    wanted = set(served(listing))
    paths = {}
    for path, method, operation in Spec(spec_root).operations():
        if (method, path) not in wanted or operation.get("operationId") in left_out:
            continue
        parameters = [fitted(parameter, values) for parameter in operation.get("parameters", [])]
        kept = {key: operation[key] for key in ("operationId", "requestBody", "responses") if key in operation}
        if operation.get("operationId") in NULLABLE:
            kept["responses"] = nullable(kept["responses"])
        # A body of any type can't be checked, and what is no JSON is looked at elsewhere.
        body = kept.get("requestBody", {}).get("content", {})
        if body and "application/json" not in body:
            continue
        paths.setdefault(path, {})[method] = {**kept, "parameters": parameters}
    return {"openapi": "3.1.0", "info": {"title": "Matrix", "version": "1"}, "paths": paths}


def nullable(schema):
    """The schema, with `null` for texts."""
    if isinstance(schema, list):
        return [nullable(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    known = {key: nullable(entry) for key, entry in schema.items()}
    return {**known, "type": ["string", "null"]} if known.get("type") == "string" else known


def fitted(parameter, values):
    name, place = parameter["name"], parameter["in"]
    schema = dict(parameter.get("schema", {}))
    if place == "path":
        schema.pop("format", None)
        known = values.get(name)
        if known:
            schema = {"type": "string", "enum": known}
        else:
            schema = {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,20}$"}
    kept = {"name": name, "in": place, "schema": schema, "required": parameter.get("required", place == "path")}
    return kept


def operations_of(document):
    return sum(len(methods) for methods in document["paths"].values())


def simple(path):
    """The path without the names of its arguments."""
    return re.sub(r"\{[^}]*\}", "{}", path)
