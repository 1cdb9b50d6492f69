"""Runs the cases of clients/conformance.json: conformance.py ADDRESS

It prints a line for each case and a count, and ends with 1 if a case has failed.
"""
import json, os, sys
from concurrent.futures import ThreadPoolExecutor

import switchboard

HERE = os.path.dirname(os.path.abspath(__file__))


def main(address):
    with open(os.path.join(HERE, "..", "conformance.json"), encoding="utf-8") as file:
        cases = json.load(file)["cases"]
    failed = 0
    for case in cases:
        problems = run(address, case)
        failed += bool(problems)
        print("FAILED" if problems else "ok", case["name"], *problems, flush=True)
    print(f"python: {len(cases) - failed} of {len(cases)} cases ok")
    return failed > 0


def run(address, case):
    """What went wrong, a text each."""
    calls = [call for call in case["calls"] for _ in range(call.get("repeat", 1))]
    with switchboard.Client(address) as client:
        with ThreadPoolExecutor(len(calls) if case.get("together") else 1) as threads:
            ends = [threads.submit(end_of, client, expand(call, number))
                    for number, call in enumerate(calls, 1)]
            return [problem for end in ends for problem in [end.result()] if problem]


def end_of(client, call):
    """Makes a call; a text if it ends otherwise than it should."""
    seconds = call.get("timeout_ms", 20000) / 1000
    asked = call.get("payload"), seconds, call.get("metadata", {})
    items, value = [], None
    try:
        if "call" in call:
            value = client.call(call["call"], *asked)
        else:
            stream = client.stream(call["stream"], *asked)
            try:
                while len(items) != call.get("take"):
                    items.append(next(stream))
            except StopIteration as end:
                value = end.value
            finally:
                stream.close()
        error = {}
    except switchboard.Error as problem:
        error = vars(problem)
    wanted = call.get("err", {})
    is_right = (items == call.get("items", []) and same(value, call.get("ok")) and
                bool(error) == bool(wanted) and all(error[key] == wanted[key] for key in wanted))
    return None if is_right else f"\n  {str(call)[:300]}\n  gives {str([items, value, error])[:300]}"


def same(one, other):
    """To Python, 1 and True are equal."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def expand(value, number):
    """Writes out what a case has in short."""
    if isinstance(value, list):
        return [expand(one, number) for one in value]
    if not isinstance(value, dict):
        return number if value == "$n" else value
    if "$text" in value:
        return value["$text"][0] * value["$text"][1]
    if "$count" in value:
        return list(range(1, value["$count"] + 1))
    return {key: expand(one, number) for key, one in value.items()}


sys.exit(main(sys.argv[1]))
