"""The reverse proxy between real sockets: a client, uvicorn with the proxy, and an upstream."""
# ruff: noqa: SIM117 - first the servers, then what is asked of them

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from apps.core import proxying
from tests.core.serving import aiohttp_served, asgi_served, free_port

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]
MEBIBYTE = 2**20
CLOSED = web.AppKey("closed", asyncio.Queue)


@asynccontextmanager
async def proxied(upstream: str, **hooks) -> AsyncIterator[SimpleNamespace]:
    """A client, the address of a proxy in front of `upstream`, and the statuses that the proxy reported."""
    seen = SimpleNamespace(statuses=[], address="", client=None)

    async def application(scope, receive, send):
        if scope["type"] == "websocket":
            await proxying.proxy_websocket(scope, receive, send, upstream=upstream, **hooks)
            return
        seen.statuses.append(await proxying.proxy_http(scope, receive, send, upstream=upstream, **hooks))

    try:
        async with (
            asgi_served(application) as address,
            aiohttp.ClientSession(f"http://{address}", auto_decompress=False) as client,
        ):
            seen.address, seen.client = address, client
            yield seen
    finally:
        await proxying.upstream_session_close()


@asynccontextmanager
async def upstream_of(*routes: web.RouteDef) -> AsyncIterator[str]:
    application = web.Application(client_max_size=2**40)
    application.add_routes(routes)
    async with aiohttp_served(application) as address:
        yield f"http://{address}"


async def test_repeated_headers_stay_apart_and_in_order():
    async def handler(request):
        response = web.Response(text="|".join(request.headers.getall("X-Many")))
        response.headers.add("Set-Cookie", "a=1; Path=/")
        response.headers.add("Set-Cookie", "b=2; Path=/, c")
        return response

    async with upstream_of(web.get("/", handler)) as upstream, proxied(upstream) as proxy:
        async with proxy.client.get("/", headers=[("X-Many", "1"), ("X-Many", "2")]) as response:
            assert await response.text() == "1|2"
            assert response.headers.getall("Set-Cookie") == ["a=1; Path=/", "b=2; Path=/, c"]


async def test_host_path_and_query_arrive_as_the_client_wrote_them():
    async def handler(request):
        return web.json_response([request.headers["Host"], request.raw_path])

    async with upstream_of(web.get("/{rest:.*}", handler)) as upstream, proxied(upstream) as proxy:
        url = URL(f"http://{proxy.address}/a%2Fb//c%20d/..%2e?x=%26&y=1&y=2", encoded=True)
        async with proxy.client.get(url, headers={"Host": "nb-1.apps.localhost:1"}) as response:
            assert await response.json() == ["nb-1.apps.localhost:1", "/a%2Fb//c%20d/..%2e?x=%26&y=1&y=2"]


async def test_hop_by_hop_headers_go_no_further():
    async def handler(request):
        return web.json_response(sorted(name.lower() for name in request.headers), headers={"Keep-Alive": "timeout=9"})

    async with upstream_of(web.get("/", handler)) as upstream, proxied(upstream) as proxy:
        sent = {"Connection": "keep-alive, X-Private", "X-Private": "1", "TE": "trailers", "X-Public": "1"}
        async with proxy.client.get("/", headers=sent) as response:
            names = await response.json()
            assert "x-public" in names
            assert not {"x-private", "te"} & set(names)
            assert "Keep-Alive" not in response.headers


async def test_compressed_bodies_and_head_and_status_pass_unchanged():
    async def handler(request):
        response = web.Response(text="x" * 5000, status=203, headers={"ETag": '"1"'})
        response.enable_compression(web.ContentCoding.gzip)
        return response

    async with upstream_of(web.get("/", handler)) as upstream, proxied(upstream) as proxy:
        async with proxy.client.get("/", headers={"Accept-Encoding": "gzip"}) as response:
            assert (response.status, response.headers["Content-Encoding"]) == (203, "gzip")
            assert (await response.read())[:2] == b"\x1f\x8b"
        async with proxy.client.head("/") as response:
            assert response.status == 203


async def test_redirects_are_the_clients_business():
    async def handler(request):
        raise web.HTTPFound("/elsewhere")

    async with upstream_of(web.get("/", handler)) as upstream, proxied(upstream) as proxy:
        async with proxy.client.get("/", allow_redirects=False) as response:
            assert (response.status, response.headers["Location"]) == (302, "/elsewhere")


@pytest.mark.parametrize("declared", [True, False], ids=["content-length", "chunked"])
async def test_the_body_is_streamed_before_it_is_complete(declared):
    first_part = asyncio.Event()

    async def handler(request):
        total = 0
        async for chunk in request.content.iter_any():
            total += len(chunk)
            first_part.set()
        return web.json_response([total, request.headers.get("Content-Length")])

    async def body():
        yield b"a" * 1000
        await asyncio.wait_for(first_part.wait(), 5)
        yield b"b" * 1000

    async with upstream_of(web.put("/", handler)) as upstream, proxied(upstream) as proxy:
        headers = {"Content-Length": "2000"} if declared else {}
        async with proxy.client.put("/", data=body(), headers=headers) as response:
            assert await response.json() == [2000, "2000" if declared else None]


async def test_the_answer_is_streamed_before_it_is_complete():
    go_on = asyncio.Event()

    async def handler(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"first")
        await go_on.wait()
        await response.write(b"second")
        return response

    async with upstream_of(web.get("/", handler)) as upstream, proxied(upstream) as proxy:
        async with proxy.client.get("/") as response:
            assert await asyncio.wait_for(response.content.readany(), 5) == b"first"
            go_on.set()
            assert await response.read() == b"second"


async def test_a_slow_reader_slows_the_upstream_down():
    written = SimpleNamespace(mebibytes=0)

    async def handler(request):
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(256):
            await response.write(b"x" * MEBIBYTE)
            written.mebibytes += 1
        return response

    async with upstream_of(web.get("/", handler)) as upstream, proxied(upstream) as proxy:
        async with proxy.client.get("/") as response:
            await response.content.readexactly(MEBIBYTE)
            await asyncio.sleep(0.5)
            assert written.mebibytes < 40, "what the sockets hold, not the whole answer"
            rest = 0
            async for chunk in response.content.iter_any():
                rest += len(chunk)
            assert rest == 255 * MEBIBYTE


async def test_a_client_that_leaves_ends_the_request_upstream():
    ended = asyncio.Event()

    async def handler(request):
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"tick")
                await asyncio.sleep(0.01)
        finally:
            ended.set()

    async with upstream_of(web.get("/", handler)) as upstream, proxied(upstream) as proxy:
        response = await proxy.client.get("/")
        await response.content.readany()
        response.close()
        await asyncio.wait_for(ended.wait(), 5)


async def test_a_client_that_leaves_in_its_upload_ends_the_request_upstream():
    outcome = asyncio.get_running_loop().create_future()

    async def handler(request):
        try:
            outcome.set_result(await request.read())
        except BaseException as error:
            outcome.set_result(error)
            raise

    async with upstream_of(web.put("/", handler)) as upstream, proxied(upstream) as proxy:
        host, port = proxy.address.split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        await writer.drain()
        await asyncio.sleep(0.2)
        writer.close()
        assert isinstance(await asyncio.wait_for(outcome, 5), BaseException), "a part is never taken for the whole"


async def test_an_upstream_that_breaks_off_breaks_the_answer_off():
    async def handler(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"half")
        request.transport.abort()
        return response

    async with upstream_of(web.get("/", handler)) as upstream, proxied(upstream) as proxy:
        with pytest.raises(aiohttp.ClientPayloadError):
            async with proxy.client.get("/") as response:
                await response.read()
        assert proxy.statuses == [None]


async def test_a_begun_body_is_never_sent_a_second_time():
    """A kept connection that dies while an upload is on it: aiohttp would repeat a PUT with what is left."""
    bodies = []

    async def connection(reader, writer):
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
            if b"PUT" in head:
                bodies.append(await reader.read(length))
                writer.transport.abort()
                return
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    server = await asyncio.start_server(connection, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    async with proxied(f"http://{host}:{port}") as proxy:
        async with proxy.client.get("/") as response:
            assert response.status == 200
        async with proxy.client.put("/", data=b"x" * 10) as response:
            assert response.status == 502
    assert bodies == [b"x" * 10]
    server.close()


async def test_an_unreachable_upstream_is_said_by_the_callers_page():
    def page(error):
        return proxying.Reply(503, [(b"content-type", b"text/plain")], type(error).__name__.encode())

    async with proxied(f"http://127.0.0.1:{free_port()}", on_error=page) as proxy:
        async with proxy.client.get("/") as response:
            assert (response.status, await response.text()) == (503, "ClientConnectorError")
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await proxy.client.ws_connect("/")
        assert refused.value.status == 503
    async with proxied(f"http://127.0.0.1:{free_port()}") as proxy:
        async with proxy.client.get("/") as response:
            assert (await response.json(content_type=None))["code"] == "core:unreachable"


async def test_header_hooks_decide_what_passes():
    async def handler(request):
        seen = {name.lower(): value for name, value in request.headers.items()}
        return web.json_response(seen, headers={"Server": "secret-version"})

    hooks = {
        "request_headers": lambda headers: [(b"authorization", b"token x"), *(h for h in headers if h[0] != b"cookie")],
        "response_headers": lambda headers: [h for h in headers if h[0] != b"server"],
    }
    async with upstream_of(web.get("/", handler)) as upstream, proxied(upstream, **hooks) as proxy:
        async with proxy.client.get("/", headers={"Cookie": "a=1"}) as response:
            seen = await response.json()
            assert seen["authorization"] == "token x"
            assert "cookie" not in seen
            assert "secret-version" not in response.headers.getall("Server", [])


async def test_no_cookie_of_one_client_reaches_the_next():
    async def handler(request):
        response = web.json_response(dict(request.cookies))
        response.set_cookie("who", "dana")
        return response

    async with upstream_of(web.get("/", handler)) as upstream, proxied(upstream) as proxy:
        for _ in range(2):
            async with aiohttp.request("GET", f"http://{proxy.address}/") as response:
                assert await response.json() == {}


async def test_a_guard_ends_a_running_download():
    async def handler(request):
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"tick")
            await asyncio.sleep(0.01)

    async def guard():
        await asyncio.sleep(0.2)
        return 1008, "access ended"

    async with upstream_of(web.get("/", handler)) as upstream, proxied(upstream, guard=guard) as proxy:
        with pytest.raises(aiohttp.ClientPayloadError):
            async with proxy.client.get("/") as response:
                await asyncio.wait_for(response.read(), 5)


async def echo(request):
    sock = web.WebSocketResponse(protocols=["v2.kernel", "v1.kernel"], max_msg_size=2**26)
    await sock.prepare(request)
    async for message in sock:
        if message.type is aiohttp.WSMsgType.TEXT and message.data.startswith("close:"):
            await sock.close(code=int(message.data[6:]), message=b"as asked")
        elif message.type is aiohttp.WSMsgType.TEXT:
            await sock.send_str(message.data)
        else:
            await sock.send_bytes(message.data)
    request.app[CLOSED].put_nowait(sock.close_code)
    return sock


@asynccontextmanager
async def echo_upstream() -> AsyncIterator[SimpleNamespace]:
    application = web.Application()
    application.router.add_get("/echo", echo)
    closed = application[CLOSED] = asyncio.Queue()
    async with aiohttp_served(application) as address:
        yield SimpleNamespace(url=f"http://{address}", closed=closed)


async def test_websocket_messages_and_subprotocol_pass_both_ways():
    counted = []
    async with (
        echo_upstream() as upstream,
        proxied(upstream.url, on_message=lambda: counted.append(1)) as proxy,
        proxy.client.ws_connect("/echo", protocols=["v1.kernel"], max_msg_size=2**26) as sock,
    ):
        assert sock.protocol == "v1.kernel"
        await sock.send_str("grüß")
        assert await sock.receive_str() == "grüß"
        large = bytes(range(256)) * 65536
        await sock.send_bytes(large)
        assert await sock.receive_bytes() == large
        await sock.send_str("")
        assert await sock.receive_str() == ""
        assert len(counted) == 3


async def test_websocket_close_of_the_upstream_reaches_the_client_with_code_and_reason():
    async with echo_upstream() as upstream, proxied(upstream.url) as proxy, proxy.client.ws_connect("/echo") as sock:
        await sock.send_str("close:4321")
        message = await sock.receive(timeout=5)
        assert (message.type, message.data, message.extra) == (aiohttp.WSMsgType.CLOSE, 4321, "as asked")


async def test_websocket_close_of_the_client_reaches_the_upstream_with_its_code():
    async with echo_upstream() as upstream, proxied(upstream.url) as proxy:
        sock = await proxy.client.ws_connect("/echo")
        await sock.close(code=4000)
        assert await asyncio.wait_for(upstream.closed.get(), 5) == 4000


async def test_a_client_that_vanishes_closes_the_websocket_upstream():
    async with echo_upstream() as upstream, proxied(upstream.url) as proxy:
        sock = await proxy.client.ws_connect("/echo")
        sock._response.connection.transport.abort()
        assert await asyncio.wait_for(upstream.closed.get(), 5) in (1011, 1000)


async def test_a_guard_closes_both_sides_of_a_websocket():
    async def guard():
        await asyncio.sleep(0.2)
        return 1008, "Your access has ended"

    async with echo_upstream() as upstream, proxied(upstream.url, guard=guard) as proxy:
        sock = await proxy.client.ws_connect("/echo")
        message = await sock.receive(timeout=5)
        assert (message.data, message.extra) == (1008, "Your access has ended")
        assert await asyncio.wait_for(upstream.closed.get(), 5) == 1008


async def test_a_handshake_that_the_upstream_refuses_keeps_its_status():
    async def handler(request):
        raise web.HTTPForbidden

    async with upstream_of(web.get("/ws", handler)) as upstream, proxied(upstream) as proxy:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await proxy.client.ws_connect("/ws")
        assert refused.value.status == 403


async def test_pipelined_and_parallel_requests_share_one_session():
    async def handler(request):
        await asyncio.sleep(0.05)
        return web.Response(text=request.query["n"])

    async with upstream_of(web.get("/", handler)) as upstream, proxied(upstream) as proxy:

        async def one(number):
            async with proxy.client.get("/", params={"n": number}) as response:
                return await response.text()

        assert await asyncio.gather(*map(one, range(60))) == [str(n) for n in range(60)]


async def test_a_stalled_listener_does_not_hold_the_client_forever(monkeypatch):
    """A listener whose queue is full answers no connection attempt; the time limit of connecting ends it."""
    monkeypatch.setattr(proxying, "CONNECT_SECONDS", 0.5)
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    fillers = [socket.socket() for _ in range(4)]
    for filler in fillers:
        filler.setblocking(False)
        filler.connect_ex(full.getsockname())
    async with proxied("http://{}:{}".format(*full.getsockname())) as proxy, asyncio.timeout(5):
        async with proxy.client.get("/") as response:
            assert response.status == 502
    for each in (*fillers, full):
        each.close()
