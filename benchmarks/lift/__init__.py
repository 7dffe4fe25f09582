"""What the agent is worth over direct prompts, with planners whose errors are known."""
