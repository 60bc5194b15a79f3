"""Rules of a node, in nft syntax: in the topology itself, or in a file beside it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator


class RuleFile(BaseModel):
    """A file in nft syntax."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    file: str = Field(description="Its path, from the topology's directory and not out of it.")

    @field_validator("file")
    @classmethod
    def _beside(cls, file: str) -> str:
        if not file or file.startswith("/") or ".." in file.split("/"):
            raise ValueError(f"{file!r} does not lie in the topology's directory or below")
        return file
