// A client of switchboard in one file, by docs/PROTOCOL.md: tagged calls in JSON, and streams.
//   const client = await Client.connect("127.0.0.1:61000");
//   console.log(await client.call("ADD", [1, 2], { timeout: 5000 }));
//   for await (const item of client.stream("COUNT", 10)) console.log(item);
//   client.close();
import { once } from "node:events";
import net from "node:net";

const [LINE_MAX, OPTIONS_MAX, BODY_MAX, WRITES_MAX, WINDOW] = [8192, 4400, 1 << 20, 1 << 26, 65536];
const [TAG, LEN, WORD] = ["(0|[1-9]\\d{0,9})", "(0|[1-9]\\d{0,19})", "[a-z_-]{1,32}"];
const NAME = /^[!-/:;=?-Z\\-z|}~][!-~]{0,63}$/;
const LINE = new RegExp(`^(<${TAG} ((ok|item) ${LEN}|err ${LEN} ${WORD}|open)`
  + `|>${TAG} (item ${LEN}|end|cancel|credit ${TAG})`
  + `|${NAME.source.slice(1, -1)} ${TAG} ${LEN})( ${WORD}=[!-~]*)*\r?\n$`);
const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const parsed = (body) => body.length ? JSON.parse(UTF8.decode(body)) : null;

/** Why a call failed. If `ran` is false it surely did not run, and may be made again. */
export class SwitchboardError extends Error {
  constructor(code, message = "", ran = true, details = null, retryMs = null) {
    super(message);
    Object.assign(this, { name: "SwitchboardError", code, ran, details, retryMs });
  }
}

export class Client {
  #socket; #input = Buffer.alloc(0); #calls = new Map(); #tag = 0; #notice; #hasFarewell; #over;
  /** Connects to `HOST:PORT` within `timeout` milliseconds, or rejects with the system's error. */
  static async connect(address, { timeout = 10000 } = {}) {
    const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(address);
    const client = new Client();
    client.#socket = net.connect({ host, port, noDelay: true, keepAlive: true })
      .on("data", (chunk) => client.#read(chunk))
      .on("error", (problem) => client.#end("disconnected", problem.message))
      .on("end", () => client.#end("disconnected", "the peer has ended the connection"));
    const connected = once(client.#socket, "connect", { signal: AbortSignal.timeout(timeout) });
    return connected.then(() => client, (problem) => { client.close(); throw problem; });
  }

  close() { this.#end("disconnected", "this side has closed the connection"); }
  /** The reply. A call that takes longer than `timeout` milliseconds is cancelled at the peer. */
  async call(name, payload = null, { timeout = 30000, metadata = {} } = {}) {
    for await (const value of this.#values(name, payload, timeout, metadata, 0)) return value;
  }

  /** Yields the items and returns the final value. Leaving it cancels the call. */
  stream(name, payload = null, { timeout = null, metadata = {} } = {}) {
    return this.#values(name, payload, timeout, metadata, WINDOW);
  }

  async *#values(name, payload, timeout, metadata, window) {
    let options = ` f=json${window ? ` credit=${window}` : ""}`;
    options += timeout === null ? "" : ` t=${Math.max(0, Math.ceil(timeout))}`;
    for (const [key, value] of Object.entries(metadata))
      options += ` ${key}=${value.replace(/[^!-$&-~]/gu, encodeURIComponent)}`;
    const why = this.#notice ?? this.#over;
    if (why) throw new SwitchboardError(why.code, why.message, false);
    if (!LINE.test(`${name} 0 0${options}\n`) || options.length > OPTIONS_MAX)
      throw new SwitchboardError(NAME.test(name) ? "invalid" : "unknown_command", "unsent", false);
    const body = Buffer.from(JSON.stringify(payload));
    do this.#tag = this.#tag % (2 ** 32 - 1) + 1; while (this.#calls.has(this.#tag));
    const [tag, call] = [this.#tag, { events: [], wake() {}, balance: window, isLate: false }];
    this.#calls.set(tag, call);
    this.#send(`${name} ${tag} ${body.length}${options}\n`, body);
    const late = setTimeout(() => call.wake(call.isLate = timeout != null), Math.min(timeout, 2e9));
    try {
      for (let used = 0; ;) {
        while (!call.events.length && !call.isLate) await new Promise((wake) => call.wake = wake);
        if (!call.events.length) throw new SwitchboardError("deadline_exceeded", "no answer yet");
        const { cost, body, error } = call.events.shift();
        if (error) throw error;
        const value = parsed(body);
        if (window && !cost) return value;
        used += cost;
        if (used >= WINDOW / 2) {
          this.#send(`>${tag} credit ${used}\n`);
          [call.balance, used] = [call.balance + used, 0];
        }
        yield value;
      }
    } catch (problem) {
      if (problem instanceof SwitchboardError) throw problem;
      throw new SwitchboardError("bad_payload", "what came is not JSON");
    } finally {
      clearTimeout(late);
      if (this.#calls.has(tag)) this.#send(`>${tag} cancel\n`);
    }
  }

  #send(line, body = Buffer.alloc(0)) {
    if (this.#socket.writableLength > WRITES_MAX) this.#end("disconnected", "no peer reads");
    if (!this.#over) this.#socket.write(Buffer.concat([Buffer.from(line), body]));
  }

  #read(chunk) {
    this.#input = Buffer.concat([this.#input, chunk]);
    try {
      while (!this.#over) {
        const end = this.#input.subarray(0, LINE_MAX).indexOf(10) + 1;
        if (!end && this.#input.length < LINE_MAX) return;
        const line = this.#input.toString("latin1", 0, end || LINE_MAX);
        if (!LINE.test(line)) throw new Error(`this is no line: ${line.slice(0, 80)}`);
        const [first, verb, ...rest] = line.trimEnd().split(" ");
        const length = verb !== "credit" && /^\d/.test(rest[0]) ? Number(rest[0]) : 0;
        if (length > BODY_MAX) return this.#end("too_large", `${length} bytes came`);
        if (this.#input.length < end + length) return;
        const body = this.#input.subarray(end, end + length);
        this.#input = this.#input.subarray(end + length);
        if (first[0] === "<") this.#handle(Number(first.slice(1)), verb, rest, body);
        else if (first[0] !== ">" && verb !== "0")
          this.#send(`<${verb} ${first === "?PING" ? "ok 0" : "err 0 unknown_command"}\n`);
      }
    } catch (problem) {
      this.#end("protocol", problem.message);
    }
  }

  #handle(tag, verb, rest, body) {
    const call = this.#calls.get(tag);
    const event = { cost: verb === "item" ? body.length + 64 : 0, body };
    if (verb === "err") {
      const options = rest.slice(2).map((word) => word.split(/=(.*)/));
      const { d = 0, ran, retry = null } = Object.fromEntries(options);
      const text = body.toString("utf8", 0, body.length - d).replace(/\n$/, "");
      if (d > body.length) throw new Error("details are longer than their body");
      const details = parsed(body.subarray(body.length - d));
      event.error = new SwitchboardError(rest[1], text, ran === "1", details, retry && +retry);
    }
    if (tag === 0) {
      [this.#notice, this.#hasFarewell] = [event.error ?? this.#notice, verb === "ok"];
    } else if (!call || (event.cost && call.balance <= 0)) {
      throw new Error(`${verb} ${tag}: of no call, or beyond its credit`);
    } else if (verb !== "open") {
      call.balance -= event.cost;
      if (!event.cost) this.#calls.delete(tag);
      call.wake(call.events.push(event));
    }
  }

  #end(code, message) {
    if (this.#over) return;
    this.#over = new SwitchboardError("disconnected", message);
    const ran = !(this.#notice && this.#hasFarewell);
    const why = ran ? { code, message } : this.#notice;
    const error = () => new SwitchboardError(why.code, why.message, ran);
    for (const call of this.#calls.values()) call.wake(call.events.push({ error: error() }));
    this.#socket.destroy();
  }
}
