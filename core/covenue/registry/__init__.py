"""Finds plugins without importing them, and chooses by name and capability.

index    rows from entry points and manifests; no plugin code runs
content  the digest that pins an installed plugin
load     imports exactly the plugin that is chosen
names    nearest names, and the command that installs what is missing
negotiate  needs, contracts and privacy facts, matched before round 1
"""
