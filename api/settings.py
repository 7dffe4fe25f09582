"""What a person can set, read once from the environment into one frozen model."""

import difflib
from collections.abc import Mapping, MutableMapping
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError

from api.machine_memory import default_budget_mib
from segmenter.contract import Frozen
from segmenter.memory_budget import LEAST_BUDGET_BYTES, MODEL_BYTES, Shares, share_out
from segmenter.settings import (
    HOUR_S,
    MEBIBYTE,
    Count,
    QueueSettings,
    Sam3Options,
    Seconds,
    SegmenterSettings,
    StoreSettings,
    VolumeSettings,
    WorkerSettings,
)

PREFIX = "MEDSAM3_"
SAM3 = "sam3_"
# Read by docker-compose.yml and by the tests, not by this service.
FOREIGN_NAMES = frozenset({"MEDSAM3_REDIS_MEMORY", "MEDSAM3_SHARED"})
# The names the SDKs' own documentation uses; ours win.
KEY_ALIASES = {
    "GEMINI_API_KEY": "gemini_api_key",
    "OPENAI_API_KEY": "openai_api_key",
    "AZURE_OPENAI_API_KEY": "azure_api_key",
}
# The latest version without a preview that knows answers bound to a schema.
AZURE_API_VERSION = "2024-10-21"
# LangGraph would send run states, requests included, to an outside service.
TRACING_SWITCHES = (
    "LANGSMITH_TRACING",
    "LANGSMITH_TRACING_V2",
    "LANGCHAIN_TRACING",
    "LANGCHAIN_TRACING_V2",
)
REDIS_SCHEMES = ("redis", "rediss", "unix")
REDIS_PORT = 6379
STATE_SCHEMES = ("sqlite", "postgres", "postgresql")
# Uploads of volumes that a service without Redis keeps; the oldest make room for new ones.
VOLUMES_AT_ONCE = 4
# What a process does: answer requests, or run a model for those that do.
Role = Literal["serve", "worker"]
LEAST_MEMORY_MIB = LEAST_BUDGET_BYTES // MEBIBYTE
# Bodies that arrive or are read at once, of the largest size.
BODIES_AT_ONCE = 2
# A shorter key can be guessed over the network.
MIN_KEY_CHARS = 16


class SettingsError(ValueError):
    """A setting is unknown, out of range, or does not fit the others."""


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _long_enough(key: SecretStr) -> SecretStr:
    if len(key.get_secret_value()) < MIN_KEY_CHARS:
        raise ValueError(f"each key needs at least {MIN_KEY_CHARS} characters")
    return key


def _redis_address(url: SecretStr) -> SecretStr:
    try:
        parts = urlsplit(url.get_secret_value())
        known = parts.scheme in REDIS_SCHEMES and parts.port != 0
    except ValueError:
        known = False
    if not known:
        raise ValueError("must be redis://HOST:PORT/DB, rediss://... or unix://...")
    return url


def _state_address(url: SecretStr) -> SecretStr:
    parts = urlsplit(url.get_secret_value())
    if parts.scheme not in STATE_SCHEMES or (parts.scheme == "sqlite" and len(parts.path) < 2):
        raise ValueError("must be sqlite:///FILE or postgresql://HOST/DATABASE")
    return url


@cache
def _own_memory_mib() -> int:
    return max(default_budget_mib(), LEAST_MEMORY_MIB)


StateUrl = Annotated[SecretStr, AfterValidator(_state_address)]
Price = Annotated[float, Field(ge=0.0)]
Names = Annotated[tuple[str, ...], BeforeValidator(_split)]
ApiKey = Annotated[SecretStr, AfterValidator(_long_enough)]
# Names of projects, locations, deployments and versions: parts of addresses, with no marks of one.
CloudName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,99}$")]
RedisUrl = Annotated[SecretStr, AfterValidator(_redis_address)]
ApiKeys = Annotated[tuple[ApiKey, ...], BeforeValidator(_split)]


class Settings(Frozen):
    """Everything that can be set; a field ``name`` is read from ``MEDSAM3_NAME``.

    Attributes:
        redis_url: queue shared by several processes; None keeps all in one process. Pictures,
            records and volumes lie there too, unless `state_url` names PostgreSQL.
        api_keys: whoever shows one of them may use the service; none only on the loopback.
        allowed_hosts: names this service is reached by, ``*`` for any; by default the loopback's
            names without a key, and any name with one.
        planner: who plans when a request does not say.
        gemini_base_url: where Gemini is asked, without the version; None for Google's own address.
        vertex_project: Gemini is asked on Vertex AI, as this project of Google Cloud.
        vertex_location: ``global``, ``us``, ``eu`` or a region.
        vertex_credentials: key file of a service account; None for Application Default Credentials.
        openai_base_url: any server that speaks OpenAI's protocol, with the version; None for
            OpenAI's own.
        azure_endpoint: the OpenAI planner is asked on Azure OpenAI, at this resource.
        azure_deployment: name that the model is deployed under there.
        azure_api_version: of Azure's API.
        egress: whether pictures and words may leave for an outside MLLM.
        private_servers: whether an MLLM may stand on another machine of the own network.
        burned_in: what happens to pictures that may show a name before an MLLM sees them.
        box_style: how the MLLM writes boxes; ``auto`` goes by the model's name.
        price_input: of a million tokens read, for the accounts of runs.
        price_output: of a million tokens written.
        run_tokens: what the MLLM of one run may read and write; no limit by default.
        run_slots: agent runs this process carries out at once; 0 leaves them to others.
        state_url: where pictures, records and volumes lie. ``sqlite:///FILE`` serves one process
            alone, so that beside `redis_url` it stays unused; ``postgresql://`` serves many.
        backend: the bundled model, or SAM 3 with or without MedSAM-3's LoRA.
        sam3: which SAM 3, and how it runs; its fields are read from ``MEDSAM3_SAM3_NAME``.
        memory_mib: what this process may take beside the libraries and the bundled model, some
            400 MiB: pictures while they are decoded and looked at, stores and caches; None for half
            of what the machine or the container has.
        max_upload_bytes: of one image, as sent.
        max_volume_bytes: of one volume or video, all its files together.
        max_requests: with a body, worked on at once by one process.
        client_share: of requests, uploads, their bytes and connections, what one client may have:
            a key, or an address where none is needed. Behind a proxy all may share an address.
        max_connections: open at once to one process.
        header_timeout_s: in which the head of a request has to arrive.
        upload_grace_s: the first seconds of an upload, in which nothing need come.
        min_upload_rate: bytes a second that an upload has to come at after them, on average.
        segment_timeout_s: deadline of one direct request.
        run_timeout_s: deadline of one agent run.
        record_ttl_s: life of runs, threads and idempotency keys.
    """

    redis_url: RedisUrl | None = None
    redis_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")] = "medsam3"
    api_keys: ApiKeys = ()
    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 8000
    allowed_hosts: Names = ()
    planner: Literal["rules", "gemini", "openai"] = "rules"
    gemini_model: str | None = None
    gemini_api_key: SecretStr | None = None
    gemini_base_url: str | None = None
    vertex_project: CloudName | None = None
    vertex_location: CloudName = "global"
    vertex_credentials: Path | None = None
    openai_model: str | None = None
    openai_base_url: str | None = None
    openai_api_key: SecretStr | None = None
    azure_endpoint: str | None = None
    azure_deployment: CloudName | None = None
    azure_api_version: CloudName = AZURE_API_VERSION
    azure_api_key: SecretStr | None = None
    egress: Literal["off", "deidentified"] = "off"
    private_servers: bool = True
    burned_in: Literal["refuse", "allow"] = "refuse"
    box_style: Literal["auto", "gemini", "thousandths", "pixels"] = "auto"
    price_input: Price | None = None
    price_output: Price | None = None
    run_tokens: Count | None = None
    run_slots: Annotated[int, Field(ge=0, le=256)] = 16
    state_url: StateUrl | None = None
    backend: Literal["compact", "sam3"] = "compact"
    sam3: Sam3Options = Sam3Options()
    memory_mib: Annotated[int, Field(ge=LEAST_MEMORY_MIB)] | None = None
    max_upload_bytes: Count = 64 * MEBIBYTE
    max_volume_bytes: Count = 256 * MEBIBYTE
    max_requests: Count = 64
    client_share: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5
    max_connections: Count = 512
    header_timeout_s: Seconds = 10.0
    upload_grace_s: Seconds = 10.0
    min_upload_rate: Count = 64 * 1024
    queue_depth: Count = 256
    segment_timeout_s: Seconds = 120.0
    run_timeout_s: Seconds = 300.0
    image_ttl_s: Seconds = HOUR_S
    record_ttl_s: Seconds = 24 * HOUR_S

    @property
    def is_public(self) -> bool:
        """Whether other machines can reach the address it binds to."""
        if self.host == "localhost":
            return False
        try:
            return not ip_address(self.host).is_loopback
        except ValueError:
            return True

    @property
    def memory_bytes(self) -> int:
        """Bytes this process may take beside the libraries and the bundled model."""
        return (self.memory_mib or _own_memory_mib()) * MEBIBYTE

    def memory_shares(self, role: Role = "serve") -> Shares:
        """Share the memory of a process out among what takes it."""
        store, worker = StoreSettings(), WorkerSettings()
        return share_out(
            self.memory_bytes,
            bodies_inside=role == "serve",
            stores_inside=self.redis_url is None and self.state_url is None,
            model_inside=self.redis_url is None or role == "worker",
            most=Shares(
                working=0,
                bodies=BODIES_AT_ONCE * max(self.max_upload_bytes, self.max_volume_bytes),
                model=MODEL_BYTES,
                images=store.max_images_bytes,
                # Room for a few, whatever the size of one.
                volumes=VOLUMES_AT_ONCE * self.max_volume_bytes,
                records=store.max_records_bytes,
                volume_records=store.max_records_bytes,
                pixels=store.max_pixels_bytes,
                embeddings=worker.max_embeddings_bytes,
            ),
        )

    def for_segmenter(self, role: Role = "serve") -> SegmenterSettings:
        """Hand on what the segmenter needs to know."""
        shares, store = self.memory_shares(role), StoreSettings()
        # Redis and databases keep what they keep outside of the memory of this process.
        inside = shares.images > 0
        volumes_bytes = shares.volumes if inside else VOLUMES_AT_ONCE * self.max_volume_bytes
        return SegmenterSettings(
            working_bytes=shares.working,
            queue=QueueSettings(
                prefix=self.redis_prefix,
                max_depth=self.queue_depth,
                max_step_s=max(QueueSettings().max_step_s, self.segment_timeout_s),
            ),
            store=StoreSettings(
                image_ttl_s=self.image_ttl_s,
                max_image_bytes=self.max_upload_bytes,
                max_images_bytes=shares.images or store.max_images_bytes,
                max_records_bytes=shares.records or store.max_records_bytes,
                max_pixels_bytes=shares.pixels,
            ),
            worker=WorkerSettings(max_embeddings_bytes=max(shares.embeddings, 1)),
            volume=VolumeSettings(
                # Two fit, so that one that is sent does not push out one that is looked at.
                max_bytes=min(self.max_volume_bytes, volumes_bytes // 2),
                ttl_s=self.record_ttl_s,
                max_volumes_bytes=volumes_bytes,
            ),
        )


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Read the ``MEDSAM3_*`` variables; empty ones count as not set.

    Raises:
        SettingsError: an unknown name (the nearest known one is named) or a value out of range;
            values are never repeated, they may be secrets.
    """
    fields: dict[str, object] = {
        field: environ[name] for name, field in KEY_ALIASES.items() if environ.get(name)
    }
    sam3: dict[str, str] = {}
    known = _variables()
    for name, value in environ.items():
        if not name.startswith(PREFIX) or name in FOREIGN_NAMES:
            continue
        if name not in known:
            near = difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.0)
            raise SettingsError(f"unknown setting {name}; the nearest known one is {near[0]}")
        field = name.removeprefix(PREFIX).lower()
        if value and field.startswith(SAM3):
            sam3[field.removeprefix(SAM3)] = value
        elif value:
            fields[field] = value
    return check_settings(fields | {"sam3": sam3})


def check_settings(fields: Mapping[str, object]) -> Settings:
    """Make settings of fields.

    Raises:
        SettingsError: names the variable; values are never repeated.
    """
    try:
        return Settings.model_validate(fields)
    except ValidationError as error:
        # The cause repeats the values, keys included.
        raise SettingsError(_first_fault(error)) from None


def refuse_unguarded(settings: Settings) -> None:
    """Refuse to serve other machines without a key.

    Raises:
        SettingsError: the address is public and there is no key.
    """
    if settings.is_public and not settings.api_keys:
        raise SettingsError(
            f"refusing to listen on {settings.host} without a key: set MEDSAM3_API_KEYS"
            f" (at least {MIN_KEY_CHARS} characters), or use --host 127.0.0.1"
        )


def forbid_tracing(environ: MutableMapping[str, str]) -> None:
    """Switch off what libraries would send or print of requests behind our back."""
    for name in [name for name in environ if name.startswith("LANGSMITH_")]:
        del environ[name]
    environ.pop("OPENAI_LOG", None)
    for name in TRACING_SWITCHES:
        environ[name] = "false"


def redis_place(url: SecretStr) -> str:
    """Say where Redis should be, host and port or socket, without who may log in."""
    parts = urlsplit(url.get_secret_value())
    if parts.scheme == "unix":
        return parts.path
    return f"{parts.hostname or 'localhost'}:{parts.port or REDIS_PORT}"


def variable(field: str) -> str:
    """Name the environment variable of a field."""
    return PREFIX + field.upper()


def _variables() -> list[str]:
    nested = (SAM3 + name for name in Sam3Options.model_fields)
    return [variable(name) for name in (*Settings.model_fields, *nested) if name != "sam3"]


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
    field = "_".join(part for part in fault["loc"] if isinstance(part, str)) or "settings"
    message = fault["msg"].removeprefix("Value error, ")
    return f"{variable(field)}: {message[0].lower()}{message[1:]}"
