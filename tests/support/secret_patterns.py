"""Patterns of what no log may contain."""

NOT_FOR_LOGS = (
    r"[\w.+-]+@[\w-]+\.[\w.-]+",  # an e-mail address
    r"eyJ[\w-]+\.[\w-]+\.",  # a JWT
    r"whsec_",
    r"\bsk_",
    r"Bearer [^\[]",
)
