"""Dice tables of any backend and planner: cases, answers, metrics, tables and pictures."""
