"""A client of switchboard in one file: tagged calls in JSON, and replies that come in items.

    with switchboard.Client("127.0.0.1:61000") as client:
        print(client.call("ADD", [1, 2], timeout=5))
        for item in client.stream("COUNT", 10): print(item)

Threads may share a client and its connection. The bytes are those of docs/PROTOCOL.md.
"""
import contextlib, itertools, json, math, queue, re, socket, threading, time
LINE_MAX, BODY_MAX, OPTIONS_MAX, WRITES_MAX, WINDOW = 8192, 1 << 20, 4400, 4096, 1 << 16
NAME, TAG, LEN = r"[!-/:;=?-Z\\-z|}~][!-~]{0,63}", r"(0|[1-9]\d{0,9})", r"(0|[1-9]\d{0,19})"
LINE = re.compile(rf"(<{TAG} ((ok|item) {LEN}|err {LEN} [a-z_-]{{1,32}}|open)|{NAME} {TAG} {LEN}"
                  rf"|>{TAG} (item {LEN}|end|cancel|credit {TAG}))( [a-z_-]{{1,32}}=[!-~]*)*\r?\n")

class Error(Exception):
    """Why a call failed. If `ran` is false it surely did not run, and may be made again."""
    def __init__(self, code, message="", ran=True, details=None, retry_ms=None):
        super().__init__(f"{code}: {message}")
        vars(self).update(code=code, message=message, ran=ran, details=details, retry_ms=retry_ms)

class Client(contextlib.AbstractContextManager):
    """A connection to `HOST:PORT`, made within `timeout` seconds or not at all (`OSError`)."""
    def __init__(self, address, timeout=10):
        host, _, port = address.rpartition(":")
        self._link = socket.create_connection((host.strip("[]"), int(port)), timeout)
        self._link.settimeout(None)
        self._link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._lock, self._outbox, self._calls = threading.RLock(), queue.Queue(), {}
        self._tags = itertools.cycle(range(1, 1 << 32))
        self._notice = self._over = self._has_farewell = None
        for work in self._read, self._write:
            threading.Thread(target=self._until_it_fails, args=[work], daemon=True).start()

    def __exit__(self, *_):
        self._end(Error("disconnected", "this side has closed the connection"))
    close = __exit__
    def call(self, name, payload=None, timeout=30, metadata={}):
        """The reply. A call that takes longer than `timeout` seconds is cancelled at the peer."""
        return next(self._values(False, name, payload, timeout, metadata))

    def stream(self, name, payload=None, timeout=None, metadata={}):
        """A generator of the items, which returns the final value. Closing it cancels the call."""
        return self._values(True, name, payload, timeout, metadata)

    def _values(self, is_stream, name, payload, timeout, metadata):
        deadline, used = math.inf if timeout is None else time.monotonic() + timeout, 0
        options = " f=json" + (f" credit={WINDOW}" if is_stream else "")
        options += "" if timeout is None else f" t={max(0, math.ceil(timeout * 1000))}"
        for key, value in metadata.items():
            escaped = re.sub(rb"[^!-$&-~]", lambda byte: b"%%%02X" % ord(byte[0]), value.encode())
            options += f" {key}={escaped.decode()}"
        if not LINE.fullmatch(f"{name} 0 0{options}\n") or len(options) > OPTIONS_MAX:
            raise Error("invalid" if re.fullmatch(NAME, name) else "unknown_command", ran=False)
        body = json.dumps(payload, ensure_ascii=False, allow_nan=False).encode()
        with self._lock:
            if why := self._notice or self._over:
                raise Error(why.code, why.message, False)
            tag = next(tag for tag in self._tags if tag not in self._calls)
            call = self._calls[tag] = queue.Queue()
            call.balance = is_stream * WINDOW
            self._send(f"{name} {tag} {len(body)}{options}\n", body)
        try:
            while True:
                cost, event = call.get(timeout=max(0, min(deadline - time.monotonic(), 1e6)))
                if isinstance(event, Error):
                    raise event
                value = json.loads(event or "null")
                if is_stream and not cost:
                    return value
                used += cost
                if used >= WINDOW // 2:
                    with self._lock:
                        self._send(f">{tag} credit {used}\n")
                        call.balance, used = call.balance + used, 0
                yield value
        except queue.Empty:
            raise Error("deadline_exceeded", "no answer came in time") from None
        except (ValueError, RecursionError):
            raise Error("bad_payload", "what came is not JSON") from None
        finally:
            if tag in self._calls:
                self._send(f">{tag} cancel\n")

    def _send(self, line, body=b""):
        self._outbox.put(line.encode() + body)
        if self._outbox.qsize() > WRITES_MAX:
            self._end(Error("disconnected", "the peer does not read"))

    def _until_it_fails(self, work):
        try:
            work()
        except Exception as problem:
            code = "disconnected" if isinstance(problem, OSError) else "protocol"
            self._end(problem if isinstance(problem, Error) else Error(code, repr(problem)))

    def _write(self):
        while frame := self._outbox.get():
            self._link.sendall(frame)

    def _read(self):
        source = self._link.makefile("rb")
        while (line := source.readline(LINE_MAX).decode("latin-1")).endswith("\n"):
            if not LINE.fullmatch(line):
                raise Error("protocol", f"this is no line: {line[:80]!r}")
            first, verb, *rest = line.split()
            length = int(rest[0]) if rest and verb != "credit" and "=" not in rest[0] else 0
            if length > BODY_MAX:
                raise Error("too_large", f"{length} bytes came, and {BODY_MAX} are the most")
            if len(body := source.read(length)) < length:
                break
            if first[0] == "<":
                self._handle(int(first[1:]), verb, rest, body)
            elif first[0] != ">" and verb != "0":
                self._send(f"<{verb} {'ok 0' if first == '?PING' else 'err 0 unknown_command'}\n")
        raise Error("protocol" if line[LINE_MAX - 1:] else "disconnected", "the end has come early")

    def _handle(self, tag, verb, rest, event):
        if verb == "err":
            options = {"d": 0, **dict(word.split("=", 1) for word in rest[2:])}
            text = event[:range(len(event) + 1)[-1 - int(options["d"])]]  # No d is over LEN.
            event = Error(rest[1], text.decode("utf-8", "replace").removesuffix("\n"),
                          "ran" in options, json.loads(event[len(text):] or "null"),
                          int(options["retry"]) if "retry" in options else None)
        with self._lock:
            call = self._calls.get(tag)
            if tag == 0:
                self._has_farewell = verb == "ok"
                self._notice = event if verb == "err" else self._notice
            elif not call or verb == "item" and call.balance <= 0:
                raise Error("protocol", f"{verb} {tag}: of no call, or beyond its credit")
            elif verb == "item":
                call.balance -= len(event) + 64
                call.put((len(event) + 64, event))
            elif verb != "open":
                self._calls.pop(tag).put((0, event))

    def _end(self, error):
        with self._lock:
            has_run = not (self._notice and self._has_farewell)
            self._over = self._over or Error("disconnected", error.message)
            why = error if has_run else self._notice
            for call in self._calls.values():
                call.put((0, Error(why.code, why.message, has_run)))
            self._calls.clear()
            self._outbox.put(None)
        with contextlib.suppress(OSError):  # It may be gone already.
            self._link.shutdown(socket.SHUT_RDWR)
        self._link.close()
