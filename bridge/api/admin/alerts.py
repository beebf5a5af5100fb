"""Admin API: open alerts."""

from datetime import datetime

from pydantic import BaseModel, Field

from bridge.api.admin.routing import admin_router
from bridge.clock import now
from bridge.db import transaction
from bridge.operations.alerts import AlertCode, AlertSeverity, find_alerts, severity_of

router = admin_router()


class AlertResponse(BaseModel):
    code: AlertCode
    severity: AlertSeverity
    since: datetime | None = Field(description="Null if it never worked")
    count: int | None = Field(description="How many events, webhooks or errors, if it is about several")
    message: str = Field(description="What is wrong, in a sentence")
    action: str = Field(description="What to do")


class AlertListResponse(BaseModel):
    alerts: list[AlertResponse]


@router.get("/alerts")
def read_alerts() -> AlertListResponse:
    """Return what needs attention now, critical alerts first. It is cheap, so it can be asked often."""
    with transaction() as connection:
        alerts = find_alerts(connection, now=now())
    return AlertListResponse(
        alerts=[AlertResponse(severity=severity_of(alert.code), **vars(alert)) for alert in alerts]
    )
