"""What every command starts from."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from api.bootstrap.backends import load_backend
from api.settings import Settings
from segmenter.backends.contract import Backend


@dataclass(frozen=True)
class Setup:
    """What every command starts from."""

    settings: Settings
    load: Callable[[Settings], Backend[Any]] = load_backend

    def embedded(self) -> "Setup":
        """Keep everything in this process's memory, whatever is configured.

        The state may be of a service that is running.
        """
        alone = {"redis_url": None, "state_url": None}
        return replace(self, settings=self.settings.model_copy(update=alone))

    def loaded(self) -> "Setup":
        """Load the model now, if a worker will run in this process.

        Raises:
            WeightsFault: it does not load.
        """
        if self.settings.redis_url is not None:
            return self
        backend = self.load(self.settings)
        return replace(self, load=lambda settings: backend)
