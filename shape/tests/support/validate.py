"""Says of instances whether JSON Schemas take them, for tests/schemas.rs.

Reads {"cases": [{"schema": .., "instances": [..]}, ..]} from standard input, and writes a list of
lists of booleans. Each schema must itself be valid.
"""

import json
import sys

from jsonschema import Draft202012Validator

answers = []
for case in json.load(sys.stdin)["cases"]:
    Draft202012Validator.check_schema(case["schema"])
    validator = Draft202012Validator(case["schema"])
    answers.append([validator.is_valid(instance) for instance in case["instances"]])
json.dump(answers, sys.stdout)
