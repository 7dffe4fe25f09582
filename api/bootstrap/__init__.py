"""Builds everything from settings; the only place that plugs the segmenter into the agent."""
