"""A planner that asks a multimodal language model: stateless, one question a step.

Pictures are rendered afresh from pixels in a thread. What comes back is read by
`agent.planners.replies` and `agent.planners.inspections`, and asked again if it does not fit. What
code adds to a plan (the pair with and without the box, the lexicon's phrase, the thread's ids) is
added by `agent.loop.admission`.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Literal, TypeVar

from agent.contract import Inspected, Planned, PlanQuestion, RoundView
from agent.drawing.layout import Size, fit
from agent.drawing.overlay import png_size, render_clean
from agent.drawing.sheets import draw_crops, draw_sheet
from agent.language.coverage import Words
from agent.mllm.box_formats import BoxStyle, box_style
from agent.mllm.contract import Answer, Mllm, Picture
from agent.planners.coordinates import BoxCoordinates
from agent.planners.inspections import to_inspection, to_winner
from agent.planners.panels import ShownPanel, choose_panels, comparison_panels, to_crops, to_sheet
from agent.planners.prompts import MllmQuestion, render_comparison, render_inspect, render_plan
from agent.planners.redaction import redact
from agent.planners.replies import to_plan
from agent.planners.reply_schemas import comparison_schema, inspect_schema, plan_schema
from agent.schemas.plan import Plan, Target
from agent.schemas.rounds import Inspection, Usage
from segmenter.contract import RgbImage

Read = TypeVar("Read")


class MllmPlanner:
    """`agent.contract.Planner` by way of an `Mllm`."""

    def __init__(self, mllm: Mllm, *, style: BoxStyle | None = None, guarded: bool = False) -> None:
        """Plan with a model.

        Args:
            mllm: who is asked.
            style: the model's way with boxes; None goes by its name.
            guarded: the model stands outside; it sees no picture that may show a name.
        """
        self._guarded = guarded
        self._mllm = mllm
        self._style = style or box_style(mllm.model, mllm.kind)

    @property
    def kind(self) -> Literal["gemini", "openai"]:
        """Which adapter is asked."""
        return self._mllm.kind

    @property
    def model(self) -> str:
        """The model's name."""
        return self._mllm.model

    async def plan(self, question: PlanQuestion, *, timeout_s: float) -> Planned:
        """See `agent.contract.Planner`; shows the clean image.

        Raises:
            MllmError: the step failed.
        """
        question = self._redacted(question)
        coordinates = self._coordinates(question)
        prompt = render_plan(question, coordinates)
        schema = plan_schema(self._style)

        words = Words(question.request, question.intent.corrections)

        def read(value: object) -> Plan:
            return to_plan(value, coordinates, words)

        answer = await self._ask(prompt, question, (), schema, read, timeout_s)
        return Planned(plan=answer.content, usage=answer.usage)

    async def inspect(self, view: RoundView, *, timeout_s: float) -> Inspected:
        """See `agent.contract.Planner`; shows the clean image, a sheet and crops.

        Raises:
            MllmError: the step failed.
        """
        view = replace(view, question=self._redacted(view.question))
        coordinates = self._coordinates(view.question)
        panels = await asyncio.to_thread(choose_panels, view)
        prompt = render_inspect(view, panels, coordinates)
        schema = inspect_schema(self._style)
        targets = view.plan.targets

        def read(value: object) -> Inspection:
            return to_inspection(
                value,
                coordinates,
                targets=[target.id for target in targets],
                panels={panel.label: panel.candidates for panel in panels},
                labels=[target.label for target in targets],
            )

        answer = await self._ask(prompt, view.question, panels, schema, read, timeout_s)
        return Inspected(inspection=answer.content, usage=answer.usage)

    async def compare(
        self,
        view: RoundView,
        first: tuple[str, ...],
        second: tuple[str, ...],
        *,
        timeout_s: float,
    ) -> tuple[Literal["first", "second", "same"], Usage]:
        """See `agent.contract.Planner`; one question, panel A is `first`. The caller swaps.

        Raises:
            MllmError: the step failed.
        """
        view = replace(view, question=self._redacted(view.question))
        panels = await asyncio.to_thread(comparison_panels, view, first, second)
        prompt = render_comparison(view, _target_of(view, panels))
        schema = comparison_schema()
        answer = await self._ask(prompt, view.question, panels, schema, to_winner, timeout_s)
        return answer.content, answer.usage

    async def _ask(
        self,
        prompt: MllmQuestion,
        question: PlanQuestion,
        panels: tuple[ShownPanel, ...],
        schema: dict[str, object],
        read: Callable[[object], Read],
        timeout_s: float,
    ) -> Answer[Read]:
        return await self._mllm.ask(
            system=prompt.system,
            text=prompt.text,
            pictures=await asyncio.to_thread(_pictures, question.pixels, panels),
            schema=schema,
            read=read,
            timeout_s=timeout_s,
        )

    def _redacted(self, question: PlanQuestion) -> PlanQuestion:
        return redact(question) if self._guarded else question

    def _coordinates(self, question: PlanQuestion) -> BoxCoordinates:
        height, width = question.pixels.shape[:2]
        return BoxCoordinates(
            style=self._style, shown=fit(width, height), image=Size(width, height)
        )


def _target_of(view: RoundView, panels: tuple[ShownPanel, ...]) -> Target | None:
    named = {panel.target for panel in panels}
    return next((target for target in view.plan.targets if target.id in named), None)


def _pictures(pixels: RgbImage, panels: tuple[ShownPanel, ...]) -> tuple[Picture, ...]:
    """Draw the clean image, the sheet and the crops; only the first if there is no panel."""
    pngs = [render_clean(pixels)]
    if panels:
        pngs += [draw_sheet(pixels, to_sheet(panels)), draw_crops(pixels, to_crops(panels))]
    return tuple(
        Picture(png=png, **png_size(png)._asdict(), caption=f"Picture {number}")
        for number, png in enumerate(pngs, start=1)
    )
