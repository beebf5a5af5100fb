"""Types that several resources of the Admin API share."""

from typing import Annotated

from pydantic import Field

from bridge.http.schemas import Text
from bridge.ledger.postings import MAX_DUST

Reason = Annotated[
    Text, Field(min_length=1, max_length=200, description="Reason, for your records; customers do not see it")
]
Dust = Annotated[int, Field(strict=True, ge=1, le=MAX_DUST)]
