"""The table of operators, from the ONNX schemas.

    python operators.py TABLE [--write]

TABLE is `runtime/src/network/onnx/operators.txt`. Makes the line of every operator named there anew, and fails if the table has another;
with --write it is put there instead.
"""

import collections
import pathlib
import sys

import onnx

NEWEST = 24
# The schema of its first opset counts as given up, though files have it: its weights were one for each group.
KEPT = {("GroupNormalization", 18)}


def line(name: str, schemas: list) -> str:
    """One operator: what it takes from each opset on at which that changed."""
    forms = []
    for schema in sorted(schemas, key=lambda schema: schema.since_version):
        inputs = "*" if schema.max_input > 1000 else str(schema.max_input)
        form = (schema.since_version, inputs, ",".join(sorted(schema.attributes)))
        if schema.deprecated and (name, schema.since_version) not in KEPT:
            form = (schema.since_version, "-", "")
        elif (name, schema.since_version) in KEPT:
            form = (schema.since_version, "3", "epsilon,num_groups")
        forms.append(form)
    # Of what is older than opset 7 only the form in force then matters.
    forms = [form for form in forms if form[0] <= 7][-1:] + [form for form in forms if form[0] > 7]
    changed = [form for at, form in enumerate(forms) if at == 0 or form[1:] != forms[at - 1][1:]]
    return f"{name} " + " ".join(f"{since}:{inputs}:{attributes}" for since, inputs, attributes in changed)


def main() -> int:
    table = pathlib.Path(sys.argv[1])
    schemas = collections.defaultdict(list)
    for schema in onnx.defs.get_all_schemas_with_history():
        if schema.domain == "" and schema.since_version <= NEWEST:
            schemas[schema.name].append(schema)
    names = [row.split()[0] for row in table.read_text().splitlines()]
    made = "".join(line(name, schemas[name]) + "\n" for name in names)
    if "--write" in sys.argv:
        table.write_text(made)
    elif made != table.read_text():
        print(f"{table} is not what the schemas of onnx {onnx.__version__} say; run with --write", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
