import ast

import pytest
from tests.tidy.tree import ROOT, name, parsed, python

HOMELESS = {"utils", "util", "common", "helpers", "helper", "misc", "manager", "base"}

GLOSSARY = {
    "LocalProblem": "contracts/covenue_contracts/local.py",
    "SharedSignals": "contracts/covenue_contracts/shared.py",
    "DualVariables": "contracts/covenue_contracts/shared.py",
    "PlanDelta": "contracts/covenue_contracts/plan.py",
    "PrivacyBudget": "contracts/covenue_contracts/privacy.py",
    "Attestation": "contracts/covenue_contracts/ledger.py",
    "AuditLog": "core/covenue/ledger/audit_log.py",
    "GraphOfContracts": "core/covenue/registry/graph.py",
    "EnergiBridge": "core/covenue/bridge/energibridge.py",
}
BUILTIN_NAMES = {"lambda_"}


def classes(path: str) -> set[str]:
    return {node.name for node in ast.walk(parsed(ROOT / path)) if isinstance(node, ast.ClassDef)}


def test_every_module_is_named_after_its_idea() -> None:
    homeless = [name(p) for p in python() if HOMELESS & {p.stem, p.parent.name}]
    assert homeless == []


@pytest.mark.parametrize("idea", GLOSSARY)
def test_a_glossary_name_is_a_class_at_its_home(idea: str) -> None:
    assert idea in classes(GLOSSARY[idea])


def test_delta_sync_is_a_module() -> None:
    assert (ROOT / "core/covenue/rounds/delta_sync.py").exists()


def test_no_multiplier_is_called_lambda() -> None:
    named = [
        f"{name(path)}:{node.lineno}"
        for path in python("core", "contracts", "plugins")
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Name) and node.id in BUILTIN_NAMES
    ]
    assert named == []
