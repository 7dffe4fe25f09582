"""The agent loop: plan, segment, inspect, refine."""
