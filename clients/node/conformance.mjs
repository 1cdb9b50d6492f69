// Runs the cases of clients/conformance.json: node conformance.mjs ADDRESS
//
// It prints a line for each case and a count, and ends with 1 if a case has failed.
import { readFile } from "node:fs/promises";
import { isDeepStrictEqual } from "node:util";

import { Client, SwitchboardError } from "./switchboard.mjs";

async function main(address) {
  const { cases } = JSON.parse(await readFile(new URL("../conformance.json", import.meta.url)));
  let failed = 0;
  for (const one of cases) {
    const problems = await run(address, one);
    failed += problems.length > 0;
    console.log(problems.length ? "FAILED" : "ok", one.name, ...problems);
  }
  console.log(`node: ${cases.length - failed} of ${cases.length} cases ok`);
  process.exitCode = failed > 0 ? 1 : 0;
}

/** What went wrong, a text each. */
async function run(address, { calls, together }) {
  const client = await Client.connect(address);
  const ends = [];
  for (const call of calls) {
    for (let number = 1; number <= (call.repeat ?? 1); number += 1) {
      ends.push(endOf(client, expanded(call, number)));
      if (!together) await ends.at(-1);
    }
  }
  const problems = await Promise.all(ends);
  client.close();
  return problems.filter((problem) => problem);
}

/** Makes a call; a text if it ends otherwise than it should. */
async function endOf(client, call) {
  const options = { timeout: call.timeout_ms ?? 20000, metadata: call.metadata };
  const items = [];
  let [value, error] = [null, {}];
  try {
    if (call.call !== undefined) value = await client.call(call.call, call.payload, options);
    else {
      const stream = client.stream(call.stream, call.payload, options);
      while (items.length !== call.take) {
        const next = await stream.next();
        if (next.done) {
          value = next.value;
          break;
        }
        items.push(next.value);
      }
      await stream.return();
    }
  } catch (problem) {
    if (!(problem instanceof SwitchboardError)) throw problem;
    const { code, message, details, ran, retryMs } = problem;
    error = { code, message, details, ran, retry_ms: retryMs };
  }
  const wanted = Object.entries(call.err ?? {});
  const isRight = isDeepStrictEqual([items, value], [call.items ?? [], call.ok ?? null]) &&
    (error.code === undefined) === (wanted.length === 0) &&
    wanted.every(([key, value]) => isDeepStrictEqual(error[key], value));
  const text = (value) => JSON.stringify(value).slice(0, 300);
  return isRight ? null : `\n  ${text(call)}\n  gives ${text([items, value, error])}`;
}

/** Writes out what a case has in short. */
function expanded(value, number) {
  if (value === "$n") return number;
  if (Array.isArray(value)) return value.map((one) => expanded(one, number));
  if (value === null || typeof value !== "object") return value;
  if (value.$text) return value.$text[0].repeat(value.$text[1]);
  if (value.$count) return Array.from({ length: value.$count }, (_, at) => at + 1);
  const members = Object.entries(value).map(([key, one]) => [key, expanded(one, number)]);
  return Object.fromEntries(members);
}

await main(process.argv[2]);
