"""A second factor in front of loyalty-point redemptions, as a reusable Django app."""

__version__ = "0.1.0"
