"""Programs that run in a node as long as the lab is up."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

PROCESS_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,30}$"
UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}
SIZES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
WAYS = ("tcp", "udp", "unix", "file", "log", "exec")


def seconds(raw: Any) -> float:
    """``10s``, ``500ms``, or a number. Raises ValueError with what would be right."""
    if isinstance(raw, int | float) and not isinstance(raw, bool):
        found = float(raw)
    else:
        match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?(ms|s|min|h)", str(raw))
        if match is None:
            raise ValueError(f"{_shown(raw)} is no duration: write 10s, 500ms, 2min or a count of seconds")
        found = float(match[1]) * UNITS[match[2]]
    if not 0 <= found <= 86400:
        raise ValueError(f"{raw!r} is not between 0 and 24h")
    return found


def _variable(name: str) -> str:
    """environ(7)."""
    if not name or "=" in name:
        raise ValueError(f"{name!r} cannot be a variable: it has a name, without `=`")
    return name


def _bytes(raw: Any) -> int:
    match = re.fullmatch(r"([0-9]{1,9})([KMG]?)", str(raw))
    if match is None or isinstance(raw, bool):
        raise ValueError(f"{_shown(raw)} is no size: write 65536, 64K or 1M")
    return int(match[1]) * SIZES[match[2]]


def _shown(raw: Any) -> str:
    """As YAML writes it."""
    return str(raw).lower() if isinstance(raw, bool) else repr(raw)


def _texted(value: Any) -> Any:
    """A number as it is written."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if is_number else value


Seconds: TypeAlias = Annotated[
    float,
    BeforeValidator(seconds),
    WithJsonSchema({"type": ["string", "number"], "description": "A duration: 10s, 500ms, 2min."}),
]
Size: TypeAlias = Annotated[
    int,
    BeforeValidator(_bytes),
    WithJsonSchema({"type": ["string", "integer"], "description": "Bytes: 65536, 64K, 1M."}),
]
Variable: TypeAlias = Annotated[str, AfterValidator(_variable)]
ProcessName: TypeAlias = Annotated[str, StringConstraints(pattern=PROCESS_NAME)]
Argument: TypeAlias = Annotated[str, WithJsonSchema({"type": ["string", "number"]})]
"""A number is a word of a command as it is written."""
Command: TypeAlias = Annotated[
    Annotated[str, Tag("line")] | Annotated[tuple[Argument, ...], Tag("words")],
    Discriminator(lambda raw: "words" if isinstance(raw, list | tuple) else "line"),
]
Signal = Literal["TERM", "INT", "HUP", "QUIT", "KILL", "USR1", "USR2", "WINCH"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Ready(_Frozen):
    """What shows that a process is ready: one of these."""

    tcp: int | None = Field(None, ge=1, le=65535, description="A socket of the node listens on this TCP port.")
    udp: int | None = Field(None, ge=1, le=65535, description="A socket of the node is bound to this UDP port.")
    unix: str | None = Field(None, description="A socket listens at this path; @name for an abstract one (unix(7)).")
    file: str | None = Field(None, description="This path exists, as the process sees it.")
    log: str | None = Field(None, description="A line of its log matches this regular expression.")
    exec: str | None = Field(None, description="This shell line, run in the node, exits with 0.")
    within: Seconds = Field(10.0, description="How long it may take; `up` fails after that.")

    @model_validator(mode="after")
    def _one_way(self) -> Ready:
        said = [way for way in WAYS if getattr(self, way) is not None]
        if len(said) != 1:
            raise ValueError(f"exactly one of {', '.join(WAYS)} tells when it is ready")
        return self

    @field_validator("file", "unix")
    @classmethod
    def _absolute(cls, path: str | None, info: ValidationInfo) -> str | None:
        is_abstract = info.field_name == "unix" and (path or "").startswith("@")
        if path is not None and not path.startswith("/") and not is_abstract:
            raise ValueError(f"{path!r} is not an absolute path")
        return path

    @field_validator("log")
    @classmethod
    def _pattern(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except re.error as problem:
            raise ValueError(f"{pattern!r} is no regular expression: {problem}") from None
        return pattern

    @property
    def way(self) -> tuple[str, str]:
        """Which one, and its value."""
        word = next(way for way in WAYS if getattr(self, way) is not None)
        return word, str(getattr(self, word))


class Process(_Frozen):
    """A program of a node, started when its network is up and stopped before it goes."""

    run: Command = Field(description="The command: a list of words, or a line for /bin/sh.")
    env: dict[Variable, str] = Field(default_factory=dict, description="Environment, beside the node's.")
    cwd: str = Field("", description="Working directory; relative to the topology's directory, which is the default.")
    user: str = Field("", description="The user to run as, by name or number; by default the one who runs netlab.")
    after: tuple[str, ...] = Field((), description="Processes that must be ready before: `db`, or `node/db`.")
    ready: Ready | None = Field(None, description="What shows that it is ready; by default that it was started.")
    stop: Signal = Field("TERM", description="The signal that asks it to end.")
    grace: Seconds = Field(5.0, description="How long it may take to end before it is killed.")
    restart: Literal["no", "on-failure", "always"] = Field("no", description="Whether it is started again when it ends: never, after a failure, or always; ever later, from 0.1 to 10 s.")
    log_size: Size = Field(1 << 20, ge=4096, le=1 << 30, description="How much of what it says is kept at least; twice as much at most.")

    @model_validator(mode="before")
    @classmethod
    def _short(cls, raw: Any) -> Any:
        return {"run": raw} if isinstance(raw, str | list) else raw

    @field_validator("run")
    @classmethod
    def _something(cls, run: tuple[str, ...] | str) -> tuple[str, ...] | str:
        if not run or not (run.strip() if isinstance(run, str) else run[0]):
            raise ValueError("there is no command to run")
        return run

    @field_validator("run", mode="before")
    @classmethod
    def _words(cls, run: Any) -> Any:
        if not isinstance(run, list):
            return run
        return [_texted(word) for word in run]

    @field_validator("after", mode="before")
    @classmethod
    def _one(cls, raw: Any) -> Any:
        return (raw,) if isinstance(raw, str) else raw

    @field_validator("user", mode="before")
    @classmethod
    def _number(cls, raw: Any) -> Any:
        return _texted(raw)

    @field_validator("restart", mode="before")
    @classmethod
    def _no(cls, raw: Any) -> Any:
        return "no" if raw is False else raw

    @field_validator("env", mode="before")
    @classmethod
    def _text(cls, raw: Any) -> Any:
        if not isinstance(raw, dict):
            return raw
        return {key: _texted(value) for key, value in raw.items()}

    @property
    def argv(self) -> tuple[str, ...]:
        return ("/bin/sh", "-c", self.run) if isinstance(self.run, str) else self.run
