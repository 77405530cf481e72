"""Cloud DLP on a local port: a generic gRPC server that speaks the real protobufs, for the real client.

Finds what `patterns` (infoType -> regular expression) match, enforces the service's limits, and answers with the errors
of `script` first. Keeps what it was asked, so that a test can look.
"""

import re
import time
from collections import deque
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import Any

import grpc
from google.cloud import dlp_v2
from google.cloud.dlp_v2.services.dlp_service.transports import DlpServiceGrpcTransport

Request = Any
PATTERNS = {"EMAIL_ADDRESS": r"\w+@[\w.-]+\w", "PERSON_NAME": r"Nadia Meyer", "CREDIT_CARD_NUMBER": r"4111[\d ]{12,15}"}


class FakeDlp:
    def __init__(self) -> None:
        self.patterns = dict(PATTERNS)
        self.script: deque[tuple[grpc.StatusCode, str]] = deque()
        self.max_findings = 3_000
        self.max_bytes = 524_288
        self.requests: list[Request] = []
        self.times: list[float] = []
        self.num_calls = 0

    def inspect(self, request: Request, context: grpc.ServicerContext) -> Any:
        self.num_calls += 1
        self.times.append(time.monotonic())
        if self.script:
            context.abort(*self.script.popleft())
        if request.ByteSize() > self.max_bytes:
            context.abort(
                grpc.StatusCode.INVALID_ARGUMENT, f"Request payload size exceeds the limit: {self.max_bytes} bytes."
            )
        self.requests.append(request)
        response = dlp_v2.InspectContentResponse.pb(dlp_v2.InspectContentResponse())
        asked = {item.name for item in request.inspect_config.info_types}
        matches = [
            (number, name, match.span())
            for number, row in enumerate(request.item.table.rows)
            for name, pattern in self.patterns.items()
            if name in asked
            for match in re.finditer(pattern, row.values[0].string_value)
        ]
        for number, name, (start, end) in matches[: self.max_findings]:
            finding = response.result.findings.add()
            finding.info_type.name = name
            finding.likelihood = dlp_v2.Likelihood.LIKELY
            finding.location.codepoint_range.start, finding.location.codepoint_range.end = start, end
            finding.location.content_locations.add().record_location.table_location.row_index = number
        response.result.findings_truncated = len(matches) > self.max_findings
        return response

    def list_info_types(self, request: Request, context: grpc.ServicerContext) -> Any:
        response = dlp_v2.ListInfoTypesResponse.pb(dlp_v2.ListInfoTypesResponse())
        for name in self.patterns:
            response.info_types.add().name = name
        return response

    def texts(self) -> list[list[str]]:
        return [[row.values[0].string_value for row in request.item.table.rows] for request in self.requests]


@contextmanager
def serving() -> Iterator[tuple[FakeDlp, Any]]:
    """The server's state and a real client connected to it."""
    fake = FakeDlp()
    server = grpc.server(futures.ThreadPoolExecutor(8), options=[("grpc.max_receive_message_length", 20_000_000)])
    handlers = {
        "InspectContent": grpc.unary_unary_rpc_method_handler(
            fake.inspect,
            request_deserializer=dlp_v2.InspectContentRequest.pb().FromString,
            response_serializer=lambda message: message.SerializeToString(),
        ),
        "ListInfoTypes": grpc.unary_unary_rpc_method_handler(
            fake.list_info_types,
            request_deserializer=dlp_v2.ListInfoTypesRequest.pb().FromString,
            response_serializer=lambda message: message.SerializeToString(),
        ),
    }
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("google.privacy.dlp.v2.DlpService", handlers)]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    channel = grpc.insecure_channel(f"127.0.0.1:{port}")
    try:
        yield fake, dlp_v2.DlpServiceClient(transport=DlpServiceGrpcTransport(channel=channel))
    finally:
        channel.close()
        server.stop(None).wait()
