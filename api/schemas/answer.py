"""What every answer is made of."""

from typing import Self

from pydantic import BaseModel, ConfigDict


class Answer(BaseModel):
    """Closed: nothing gets out that is not declared here.

    A field takes a model of the domain as it is: attributes of the same names become an answer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", from_attributes=True)

    @classmethod
    def of(cls, source: object, /, **own: object) -> Self:
        """Take each field from the attribute of `source` with its name, but for its `own`."""
        names = cls.model_fields.keys() - own.keys()
        return cls.model_validate({name: getattr(source, name) for name in names} | own)
