"""A storefront of the programme: its pages call the API over HTTP with a key, as a shop of another company would."""
