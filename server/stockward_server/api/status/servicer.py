"""StatusService on the wire."""

from __future__ import annotations

from stockward.status.v1 import status_pb2 as pb
from stockward.status.v1 import status_pb2_grpc

from stockward_server import __version__
from stockward_server.api.requests import Context
from stockward_server.application.ports.status import ReadStatus, Verdict
from stockward_server.wire.times import timestamp

VERDICTS = {
    Verdict.OK: pb.Finding.VERDICT_OK,
    Verdict.WARNING: pb.Finding.VERDICT_WARNING,
    Verdict.PROBLEM: pb.Finding.VERDICT_PROBLEM,
}


class StatusServicer(status_pb2_grpc.StatusServiceServicer):
    """See status.proto."""

    def __init__(self, read: ReadStatus) -> None:
        self._read = read

    async def GetStatus(self, request: pb.GetStatusRequest, context: Context) -> pb.GetStatusResponse:
        status = await self._read()
        response = pb.GetStatusResponse(
            server_version=__version__,
            check_time=timestamp(status.time),
            findings=[
                pb.Finding(check=each.check, verdict=VERDICTS[each.verdict], found=each.found, next_step=each.next_step)
                for each in status.findings
            ],
        )
        if (waiting := status.waiting) is not None:
            response.backlog.CopyFrom(
                pb.Backlog(
                    outbox_pending=waiting.outbox_pending,
                    outbox_age_seconds=waiting.outbox_age,
                    deliveries_pending=waiting.deliveries_pending,
                    deliveries_age_seconds=waiting.deliveries_age,
                    deliveries_dead=waiting.deliveries_dead,
                    sweeper_age_seconds=waiting.sweeper_age,
                    failing_endpoints=waiting.failing_endpoints,
                    disabled_endpoints=waiting.disabled_endpoints,
                )
            )
            response.open_work.CopyFrom(
                pb.OpenWork(
                    orders_pending=waiting.orders_pending,
                    reservations_active=waiting.reservations_active,
                    reservations_late=waiting.reservations_late,
                    stock_alerts=waiting.stock_alerts,
                )
            )
        return response
