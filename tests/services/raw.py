"""A server that answers every request with the same bytes, be they HTTP or not."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def raw_server(reply: bytes) -> Iterator[str]:
    """Its address, on loopback."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            length = 0
            while (line := self.rfile.readline().strip().lower()) != b"":
                if line.startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            self.rfile.read(length)
            self.wfile.write(reply)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


PROMPT = "lena.zwetschgenbaum"
NOT_TO_BE_QUOTED = {
    "no HTTP": f"Traceback: cannot process prompt: {PROMPT}\r\n\r\n",
    "a length that is no number": f"HTTP/1.1 200 OK\r\nContent-Length: {PROMPT}\r\n\r\n",
    "a chunk that is none": f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{PROMPT}\r\n",
    "a redirect": f"HTTP/1.1 302 Found\r\nLocation: weird://login?next={PROMPT}\r\nContent-Length: 0\r\n\r\n",
    "a redirect to a host": f"HTTP/1.1 302 Found\r\nLocation: http://{PROMPT}/\r\nContent-Length: 0\r\n\r\n",
    "a content type": f"HTTP/1.1 200 OK\r\nContent-Type: text/{PROMPT}\r\nContent-Length: 2\r\n\r\n{{}}",
    "a count": "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    f'data: {{"usage": {{"prompt_tokens": "{PROMPT}", "completion_tokens": 1}}}}\n\n',
    "an id": "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
    '{"output_ids": [1], "meta_info": {"finish_reason": {"type": "length"}, '
    f'"output_top_logprobs": [[[0.0, "{PROMPT}", null]]]}}}}',
    "an error's kind": "HTTP/1.1 500 Oh\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
    f'{{"error": {{"type": "{PROMPT}", "code": "AKIAQX7"}}}}',
}
