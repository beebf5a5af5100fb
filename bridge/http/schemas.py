"""Types of parameters and bodies that many endpoints share."""

from typing import Annotated

from fastapi import Path
from pydantic import BaseModel, ConfigDict, StringConstraints

from bridge.ids import ID_PATTERN

Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
PathId = Annotated[str, Path(pattern=ID_PATTERN)]
# The sender chooses the id of an event: any printable characters.
EventId = Annotated[str, Path(pattern=r"^[\x21-\x7e]{1,255}$")]
Text = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[^\x00]*$")]


class Body(BaseModel):
    """Base of request bodies. Unknown keys are rejected, because they are usually typing errors."""

    model_config = ConfigDict(extra="forbid")
