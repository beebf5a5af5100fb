"""The webhook endpoint: verify the signature of the raw bytes, store the event, answer. Nothing is worked on here.

Medusa's plugin brings signed events; the inbox takes them. 2xx is answered only after the commit.
"""
