"""Pages for participants, reached by links in messages: no session, no key, no JavaScript."""
