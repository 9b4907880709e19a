"""The web server itself: a head that never ends."""

import asyncio
import socket

import uvicorn

from portal.up.web import HEAD_BYTES, BoundedHttpProtocol


async def hello(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
    if scope["type"] != "http":
        return
    more = True
    while more:
        more = (await receive()).get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def asked(*chunks: bytes) -> bytes:
    """What comes back for these bytes, one after another, on one connection."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(hello, http=BoundedHttpProtocol, lifespan="off", log_level="error"))
    task = asyncio.create_task(server._serve([listener]))
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.005)
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    try:
        for chunk in chunks:
            writer.write(chunk)
            await writer.drain()
            await asyncio.sleep(0.02)
        return await asyncio.wait_for(reader.read(4096), 5)
    except ConnectionError:
        return b""
    finally:
        writer.close()
        server.should_exit = True
        await asyncio.wait_for(task, 10)
        listener.close()


BEGIN = b"GET / HTTP/1.1\r\nhost: x\r\nx-long: "


async def test_a_header_that_never_ends_is_given_up() -> None:
    answer = await asked(BEGIN, *[b"a" * 16_384] * (HEAD_BYTES // 16_384 + 1))
    assert answer.startswith(b"HTTP/1.1 431")


async def test_an_address_that_never_ends_is_given_up() -> None:
    answer = await asked(b"GET /", *[b"a" * 16_384] * (HEAD_BYTES // 16_384 + 1))
    assert answer.startswith((b"HTTP/1.1 431", b"HTTP/1.1 400"))


async def test_a_long_body_and_a_second_request_are_no_long_head() -> None:
    body = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 200000\r\n\r\n" + b"b" * 200_000
    assert (await asked(body)).startswith(b"HTTP/1.1 200")
    many = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
    assert (await asked(many * 2, many)).count(b"HTTP/1.1 200") >= 1
