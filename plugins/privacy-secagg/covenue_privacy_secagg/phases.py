"""Names of the phases, in their order; the coordinator's timers carry those that it waits for.

    nonce -> upload -> survivors -> vote -> certificate -> answer
    or, wherever something is missing before the certificate: abort -> vote, until revote

Nonces are opened in the first round of a plan, and in later ones by those who were missing.
"""

OPEN, NONCE, NONCES = "open", "nonce", "nonces"
UPLOAD, DECLINE = "upload", "decline"
SURVIVORS, VOTE, CERTIFICATE = "survivors", "vote", "certificate"
ANSWER = "answer"
ABORT, REVOTE = "abort", "revote"
