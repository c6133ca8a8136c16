"""EnergiBridge: lossless translation between the vocabularies of the seed systems.

energibridge  the translator: dialect to contract to dialect, each step read back before it counts
kinds         what a canonical message may be: a contract, alone or with the parts it names
spelling      reads and writes one value by a dialect's tables
decimals      exact decimals of one spelling
soundness     refuses a dialect whose tables would drop, merge or round anything
messages      files of messages
"""
