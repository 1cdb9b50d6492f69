"""A client of JSON-RPC by aiorpcX, as its users write one: aiorpcx_client.py PORT

It checks each answer, and ends with "aiorpcx: all ok", or with a traceback and status 1.
"""

import asyncio
import sys

import aiorpcx


async def main(port):
    for protocol in [aiorpcx.JSONRPCv2, aiorpcx.JSONRPCv1]:
        factory = session_factory(protocol)
        async with aiorpcx.connect_rs("127.0.0.1", port, session_factory=factory) as session:
            await asyncio.wait_for(check(session, protocol), 60)
            print(protocol.__name__, "ok")
    print("aiorpcx: all ok")


def session_factory(protocol):
    def factory(*args, **kwargs):
        connection = aiorpcx.JSONRPCConnection(protocol)
        return aiorpcx.RPCSession(*args, connection=connection, **kwargs)

    return factory


async def check(session, protocol):
    # One argument, several, by name, none, a list.
    assert await session.send_request("CheckStock", ["item1"]) == 100
    assert await session.send_request("Arith.Multiply", [{"A": 7, "B": 8}]) == 56
    assert await session.send_request("NOTHING") is None
    assert await session.send_request("SUM", [[1, 2, 3]]) == 6
    assert await session.send_request("SUM", [1, 2, 3]) == 6
    assert await session.send_request("ECHO", ["Zürich\n\u2028\U0001f600"])
    await session.send_notification("NOTE", [1])
    await check_errors(session, protocol)

    # Many at once, which end in another order.
    slow = asyncio.ensure_future(session.send_request("Arith.Slow", [500]))
    numbers = [session.send_request("SUM", [[number, 1]]) for number in range(64)]
    assert await asyncio.gather(*numbers) == list(range(1, 65))
    assert not slow.done()
    assert await slow == 500

    if protocol is aiorpcx.JSONRPCv2:
        assert await session.send_request("Arith.Multiply", {"A": 7, "B": 8}) == 56
        await check_batch(session)


async def check_errors(session, protocol):
    is_v2 = protocol is aiorpcx.JSONRPCv2
    for method, arguments, number, text in [
        ("CheckStock", ["item3"], -32003, "no item3"),
        ("Arith.Divide", [{"A": 1, "B": 0}], -32000, "divide by zero"),
        ("nobody", [], -32601, "there is no command nobody; ? lists them"),
        ("CheckStock", [7], -32602, None),
        ("PANIC", [] if is_v2 else [None], -32603, "the handler panicked"),
        ("SECRET", [] if is_v2 else [None], -32000, "the handler failed"),
    ]:
        try:
            await session.send_request(method, arguments)
        except aiorpcx.RPCError as error:
            assert not is_v2 or error.code == number, error
            assert text is None or error.message == text, error
        else:
            raise AssertionError(f"{method}{arguments} goes well")


async def check_batch(session):
    async with session.send_batch() as batch:
        batch.add_request("Arith.Slow", [50])
        batch.add_notification("NOTE", [2])
        batch.add_request("nobody", [])
        batch.add_request("CheckStock", ["item2"])
    first, second, third = batch.results
    assert (first, third) == (50, 50), batch.results
    assert isinstance(second, aiorpcx.RPCError) and second.code == -32601, second


asyncio.run(main(int(sys.argv[1])))
