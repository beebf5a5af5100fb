"""Types that several resources of the Admin API share."""

from typing import Annotated

from pydantic import Field

from bridge.ledger.postings import MAX_DUST

Dust = Annotated[int, Field(strict=True, ge=1, le=MAX_DUST)]
