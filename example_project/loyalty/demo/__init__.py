"""The demo: the whole story of a redemption, told over HTTP, and checked while it is told."""
