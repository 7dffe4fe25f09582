"""The compact network: one encoding per view, many concepts decoded from it."""

import torch
from torch import Tensor, nn
from torch.nn import functional

Levels = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


class _Residual(nn.Module):
    """Two 3x3 convolutions around a shortcut. Source: He et al. (2016), arXiv:1512.03385."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = _convolve(width, width)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.norm(self.second(self.first(x)))
        return functional.relu(x + residual)


def _convolve(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class _Context(nn.Module):
    """One pre-norm transformer block over the coarsest cells, with learned places.

    Source: Dosovitskiy et al. (2021), arXiv:2010.11929.
    """

    def __init__(self, width: int, heads: int, cells: int) -> None:
        super().__init__()
        self.heads = heads
        self.places = nn.Parameter(torch.zeros(1, cells, width))
        nn.init.normal_(self.places, std=0.02)
        self.before_attention = nn.LayerNorm(width)
        self.projections = nn.Linear(width, 3 * width)
        self.merge = nn.Linear(width, width)
        self.before_mlp = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        batch, width, height, breadth = x.shape
        tokens: Tensor = x.flatten(2).transpose(1, 2) + self.places
        tokens = tokens + self.merge(self._attend(self.before_attention(tokens)))
        tokens = tokens + self.mlp(self.before_mlp(tokens))
        return tokens.transpose(1, 2).reshape(batch, width, height, breadth)

    def _attend(self, tokens: Tensor) -> Tensor:
        batch, cells, width = tokens.shape
        parts = self.projections(tokens).reshape(batch, cells, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        weights = (query @ key.transpose(-2, -1)) * (width // self.heads) ** -0.5
        mixed: Tensor = weights.softmax(dim=-1) @ value
        return mixed.transpose(1, 2).reshape(batch, cells, width)


class Encoder(nn.Module):
    """Picture and box channel to five feature levels, at 1/2 to 1/32 of the side."""

    def __init__(
        self, widths: list[int], depths: list[int], levels: list[int], *, heads: int, side: int
    ) -> None:
        super().__init__()
        stages = []
        for number, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            inputs = 4 if number == 0 else widths[number - 1]
            blocks = [_Residual(width) for _ in range(depth)]
            stages.append(nn.Sequential(_convolve(inputs, width, stride=2), *blocks))
        self.stages = nn.ModuleList(stages)
        self.context = _Context(widths[-1], heads, (side // 32) ** 2)
        self.laterals = nn.ModuleList(
            nn.Conv2d(width, level, 1) for width, level in zip(widths, levels, strict=True)
        )

    def forward(self, x: Tensor) -> Levels:
        """Encode views.

        Args:
            x: float32, shape (N, 4, S, S): normalised RGB, then 1 inside the box and 0 elsewhere.

        Returns:
            Five tensors (N, C, S/2, S/2) to (N, C, S/32, S/32).
        """
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        features[-1] = self.context(x)
        first, second, third, fourth, last = (
            lateral(feature) for lateral, feature in zip(self.laterals, features, strict=True)
        )
        return first, second, third, fourth, last


class _Modulated(nn.Module):
    """3x3 convolution scaled and shifted by the concept.

    Source: FiLM, Perez et al. (2018), arXiv:1709.07871.
    """

    def __init__(self, width: int, condition_width: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.video = nn.Linear(condition_width, 2 * width)
        nn.init.zeros_(self.video.weight)
        nn.init.zeros_(self.video.bias)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        scale, shift = self.video(condition)[:, :, None, None].chunk(2, dim=1)
        return functional.relu(self.norm(self.convolution(x)) * (1 + scale) + shift)


class Decoder(nn.Module):
    """Feature levels and a concept number to mask logits and a presence logit."""

    def __init__(self, levels: list[int], concepts: int, concept_width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(concepts, concept_width)
        condition = 2 * concept_width
        self.condition = nn.Sequential(
            nn.Linear(concept_width, condition), nn.SiLU(), nn.Linear(condition, condition)
        )
        self.bottom = _Modulated(levels[-1], condition)
        self.narrow = nn.ModuleList(
            nn.Conv2d(levels[number + 1], levels[number], 1) for number in range(4)
        )
        self.merge = nn.ModuleList(_Modulated(levels[number], condition) for number in range(4))
        self.smooth = nn.ModuleList(
            _Residual(levels[number]) if number >= 2 else nn.Identity() for number in range(4)
        )
        self.final = nn.Conv2d(levels[0], 4, 3, padding=1)
        self.query = nn.Linear(condition, levels[-1])
        self.presence = nn.Sequential(
            nn.Linear(levels[-1] + 2 * levels[3] + condition, 96), nn.SiLU(), nn.Linear(96, 1)
        )

    def forward(
        self,
        first: Tensor,
        second: Tensor,
        third: Tensor,
        fourth: Tensor,
        last: Tensor,
        concept: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Decode one concept, int64 (N,), per encoded view to mask and presence logits.

        ``first`` has shape (N, C, S/2, S/2), as have the others down to ``last``, (N, C, S/32,
        S/32); the logits (N, 1, S, S) and (N, 1).
        """
        condition = self.condition(self.embedding(concept))
        x = self.bottom(last, condition)
        pooled = [self._pool(x, condition), condition]
        laterals = (first, second, third, fourth)
        for number in (3, 2, 1, 0):
            x = functional.interpolate(self.narrow[number](x), scale_factor=2.0, mode="nearest")
            x = self.smooth[number](self.merge[number](x + laterals[number], condition))
            if number == 3:
                pooled += [x.mean(dim=(2, 3)), x.amax(dim=(2, 3))]
        logits = functional.pixel_shuffle(self.final(x), 2)
        return logits, self.presence(torch.cat(pooled, dim=1))

    def _pool(self, x: Tensor, condition: Tensor) -> Tensor:
        """Average the coarsest cells, weighted by how well they fit the concept."""
        cells = x.flatten(2)
        weights: Tensor = (self.query(condition)[:, None, :] @ cells) * cells.shape[1] ** -0.5
        return (cells * weights.softmax(dim=-1)).sum(dim=-1)


class Compact(nn.Module):
    """Encoder and decoder in one, as trained."""

    def __init__(self, encoder: Encoder, decoder: Decoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def forward(self, x: Tensor, concept: Tensor) -> tuple[Tensor, Tensor]:
        """Return mask logits (N, 1, S, S) and presence logits (N, 1); see the two halves."""
        levels = self.encoder(x)
        logits, presence = self.decoder(*levels, concept)
        return logits, presence
