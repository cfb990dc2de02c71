"""BackFuture AI Workbench: is this API key safe for a bot, and does it work?"""
