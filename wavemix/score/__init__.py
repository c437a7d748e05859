"""Scores any folder by a task's protocol, outside any pipeline: a model, a baseline, or what other programs answered.

``folder`` does it; what differs from task to task is in a module for each.
"""
