"""The loop as a LangGraph; the only file that knows LangGraph.

    prepare -> plan -> segment -> inspect -+-> finish
                         ^                 |
                         +---- refine -----+

One compiled graph is shared by all runs; what belongs to a run rides in its context, as LangGraph's
context. With checkpoints the state is kept after every step, under the run's id, and the masks it
speaks of just before that (`RunContext.keep`): a run whose process died goes on at the step it was
in.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Protocol, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langsmith import tracing_context

from agent.loop import nodes
from agent.loop.checkpoints import Checkpoints
from agent.loop.context import RunContext
from agent.loop.state import AgentState

# Six steps, and three more for each round after the first; LangGraph's default is 10007.
RECURSION_LIMIT = 30

Step = Callable[[AgentState, RunContext], Awaitable[AgentState]]


@dataclass(frozen=True)
class Ride:
    """What LangGraph carries beside the state."""

    context: RunContext


class _Node(Protocol):
    async def __call__(self, state: AgentState, *, runtime: Runtime[Ride]) -> AgentState: ...


Graph = CompiledStateGraph[AgentState, Ride, AgentState, AgentState]


# One with checkpoints and one without; tests open more.
@lru_cache(maxsize=4)
def build_graph(saver: BaseCheckpointSaver[str] | None = None) -> Graph:
    """Wire and compile the loop."""
    graph = StateGraph(AgentState, context_schema=Ride)
    for name, step in (
        ("prepare", nodes.prepare),
        ("plan", nodes.plan),
        ("segment", nodes.segment),
        ("inspect", nodes.inspect),
        ("refine", nodes.refine),
        ("finish", nodes.finish),
    ):
        graph.add_node(name, _bind(step))
    graph.add_edge(START, "prepare")
    graph.add_conditional_edges("prepare", after_prepare, ["plan", "finish"])
    graph.add_conditional_edges("plan", after_calls, ["segment", "finish"])
    graph.add_conditional_edges("segment", after_segment, ["inspect", "finish"])
    graph.add_conditional_edges("inspect", after_inspect, ["refine", "finish"])
    graph.add_conditional_edges("refine", after_calls, ["segment", "finish"])
    graph.add_edge("finish", END)
    return graph.compile(checkpointer=saver)


def _bind(step: Step) -> _Node:
    async def node(state: AgentState, *, runtime: Runtime[Ride]) -> AgentState:
        context = runtime.context.context
        update = await step(state, context)
        kept = await context.keep(state.get("kept_steps", 0))
        return {**update, "kept_steps": kept}

    return node


def after_prepare(state: AgentState) -> Literal["plan", "finish"]:
    """Plan unless the tool cannot be reached."""
    return "finish" if state.get("error") else "plan"


def after_calls(state: AgentState) -> Literal["segment", "finish"]:
    """Go to the tool if there is anything to ask it."""
    return "segment" if state.get("pending") else "finish"


def after_segment(state: AgentState) -> Literal["inspect", "finish"]:
    """Inspect unless the tool failed."""
    return "finish" if state.get("error") else "inspect"


def after_inspect(state: AgentState) -> Literal["refine", "finish"]:
    """Do what the inspect step decided."""
    return state.get("step", "finish")


async def walk(
    context: RunContext, checkpoints: Checkpoints | None = None
) -> AsyncIterator[AgentState]:
    """Run the loop and yield the state after every step; the last one holds the outcome.

    With checkpoints a run that was broken off goes on after its last whole step. Tracing to
    LangSmith is off in here whatever the environment says: with it a plain graph sends requests
    and images to an outside service.

    Raises:
        ImageNotFound: the image has expired.
    """
    saver = checkpoints.saver if checkpoints else None
    config: RunnableConfig = {
        "recursion_limit": RECURSION_LIMIT,
        "configurable": {"thread_id": context.run_id},
    }
    with tracing_context(enabled=False):
        known = await _resumed(context, saver, config)
        if known is not None:
            yield known
            if "outcome" in known:
                return
        steps = build_graph(saver).astream(
            {"run_id": context.run_id} if known is None else None,
            config,
            context=Ride(context),
            stream_mode="values",
            durability=None if saver is None else "sync",
        )
        async for state in steps:
            yield cast(AgentState, state)


async def _resumed(
    context: RunContext, saver: BaseCheckpointSaver[str] | None, config: RunnableConfig
) -> AgentState | None:
    """Return the state of the last whole step, its context laid out; None to begin anew."""
    if saver is None:
        return None
    state = cast(AgentState, (await build_graph(saver).aget_state(config)).values)
    if "kept_steps" not in state:
        return None
    if await context.restore(state["kept_steps"]):
        return state
    # Without its masks the state is of no use; the answers so far are on the answers.
    await saver.adelete_thread(context.run_id)
    return None
