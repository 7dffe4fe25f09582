"""The loop as a LangGraph; the only file that knows LangGraph.

    prepare -> plan -> segment -> inspect -+-> finish
                         ^                 |
                         +---- refine -----+

One compiled graph is shared by all runs; what belongs to a run is in its context, as LangGraph's
context. No state is kept between processes: a run whose process died takes its steps again, and
has every question answered by its log (`agent.runs.log`).
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cache
from typing import Literal, Protocol, cast

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langsmith import tracing_context

from agent.loop import nodes
from agent.loop.context import RunContext
from agent.loop.finish import finish
from agent.loop.state import AgentState, first_state

# Six steps, and three more for each round after the first; LangGraph's default is 10007.
RECURSION_LIMIT = 30

Step = Callable[[AgentState, RunContext], Awaitable[AgentState]]


class _Node(Protocol):
    async def __call__(self, state: AgentState, *, runtime: Runtime[RunContext]) -> AgentState: ...


@cache
def build_graph() -> CompiledStateGraph[AgentState, RunContext, AgentState, AgentState]:
    """Wire and compile the loop."""
    graph = StateGraph(AgentState, context_schema=RunContext)
    for name, step in (
        ("prepare", nodes.prepare),
        ("plan", nodes.plan),
        ("segment", nodes.segment),
        ("inspect", nodes.inspect),
        ("refine", nodes.refine),
        ("finish", finish),
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
    async def node(state: AgentState, *, runtime: Runtime[RunContext]) -> AgentState:
        return await step(state, runtime.context)

    return node


def after_prepare(state: AgentState) -> Literal["plan", "finish"]:
    """Plan unless the tool cannot be reached."""
    return "finish" if "error" in state else "plan"


def after_calls(state: AgentState) -> Literal["segment", "finish"]:
    """Go to the tool if there is anything to ask it."""
    return "segment" if state["pending"] else "finish"


def after_segment(state: AgentState) -> Literal["inspect", "finish"]:
    """Inspect unless the tool failed."""
    return "finish" if "error" in state else "inspect"


def after_inspect(state: AgentState) -> Literal["refine", "finish"]:
    """Do what the inspect step decided."""
    return state["step"]


async def walk(context: RunContext) -> AsyncIterator[AgentState]:
    """Run the loop and yield the state after every step; the last one holds the outcome.

    Tracing to LangSmith is off in here whatever the environment says: with it a plain graph sends
    requests and images to an outside service.

    Raises:
        ImageNotFound: the image has expired.
    """
    config: RunnableConfig = {"recursion_limit": RECURSION_LIMIT}
    with tracing_context(enabled=False):
        steps = build_graph().astream(
            first_state(context.opening), config, context=context, stream_mode="values"
        )
        async for state in steps:
            yield cast(AgentState, state)
