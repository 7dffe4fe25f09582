"""The agent's state machine on LangGraph: plan, segment, inspect, refine, finish."""
