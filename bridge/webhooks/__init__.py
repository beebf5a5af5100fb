"""The webhook endpoint: verifies the signature of the raw bytes, stores the event in the inbox, and answers.

Medusa's plugin sends the signed events. A 2xx is answered only after the commit. Processing happens later, in workers.
"""
