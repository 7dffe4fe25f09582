"""The loop as a LangGraph; the only file that knows LangGraph.

    prepare -> plan -> segment -> inspect -+-> finish
                         ^                 |
                         +---- refine -----+

There is no checkpointer: runs and threads are kept as records, and a run is short. One compiled
graph is shared by all runs; what belongs to a run rides in its bench, as LangGraph's context.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from typing import Literal, Protocol, cast

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langsmith import tracing_context

from agent import nodes
from agent.bench import Bench
from agent.state import AgentState

# Six steps, and three more for each round after the first; LangGraph's default is 10007.
RECURSION_LIMIT = 30

Step = Callable[[AgentState, Bench], Awaitable[AgentState]]


@dataclass(frozen=True)
class Ride:
    """What LangGraph carries beside the state."""

    bench: Bench


class _Node(Protocol):
    async def __call__(self, state: AgentState, *, runtime: Runtime[Ride]) -> AgentState: ...


Graph = CompiledStateGraph[AgentState, Ride, AgentState, AgentState]


@cache
def build_graph() -> Graph:
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
    return graph.compile()


def _bind(step: Step) -> _Node:
    async def node(state: AgentState, *, runtime: Runtime[Ride]) -> AgentState:
        return await step(state, runtime.context.bench)

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


async def walk(bench: Bench) -> AsyncIterator[AgentState]:
    """Run the loop and yield the state after every step; the last one holds the outcome.

    Tracing to LangSmith is off in here whatever the environment says: with it a plain graph sends
    requests and images to an outside service.

    Raises:
        ImageNotFound: the image has expired.
    """
    start: AgentState = {"run_id": bench.run_id}
    with tracing_context(enabled=False):
        steps = build_graph().astream(
            start,
            {"recursion_limit": RECURSION_LIMIT},
            context=Ride(bench),
            stream_mode="values",
        )
        async for state in steps:
            yield cast(AgentState, state)
