"""The verbs: transactions, locks, the clock, events, and jobs after the commit."""
