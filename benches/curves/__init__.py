"""Scaling curves: how time and memory grow with what grows, and whether they may."""
