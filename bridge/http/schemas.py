"""Types of parameters and bodies that many endpoints share."""

from typing import Annotated

from fastapi import Path
from pydantic import BaseModel, ConfigDict, StringConstraints

from bridge.ids import ID_PATTERN, CustomerId, OrderId, ProductId

Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
PathId = Annotated[str, Path(pattern=ID_PATTERN)]
PathCustomerId = Annotated[CustomerId, Path(pattern=ID_PATTERN)]
PathOrderId = Annotated[OrderId, Path(pattern=ID_PATTERN)]
PathProductId = Annotated[ProductId, Path(pattern=ID_PATTERN)]
# The sender chooses the id of an event: any printable characters.
EventId = Annotated[str, Path(pattern=r"^[\x21-\x7e]{1,255}$")]
Text = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[^\x00]*$")]


class FromAttributes(BaseModel):
    """Base of response models whose fields are attributes of a value of another package.

    `Model.model_validate(value)` reads them. Where such a model is a field of another one, the value can be given.
    """

    model_config = ConfigDict(from_attributes=True)


class Body(BaseModel):
    """Base of request bodies. Unknown keys are rejected, because they are usually typing errors."""

    model_config = ConfigDict(extra="forbid")
