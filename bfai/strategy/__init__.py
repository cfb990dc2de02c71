"""Strategies: what a group of orders costs, earns and risks, worked out before anything is sent."""
