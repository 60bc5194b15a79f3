"""Base chains: hooks, priorities by name and number, devices, policies."""

from __future__ import annotations

from . import syntax as s
from .problems import Wrong, did_you_mean
from .scope import Scope
from .wire import nest, text, u32

_INET = {"prerouting": 0, "input": 1, "forward": 2, "output": 3, "postrouting": 4}
HOOKS: dict[str, dict[str, int]] = {
    "ip": _INET,
    "ip6": _INET,
    "inet": {**_INET, "ingress": 5},
    "bridge": _INET,
    "arp": {"input": 0, "output": 1},
    "netdev": {"ingress": 0, "egress": 1},
}
_TYPES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "nat": (("ip", "ip6", "inet"), ("prerouting", "input", "output", "postrouting")),
    "route": (("ip", "ip6", "inet"), ("output",)),
}
"""Types of chains but ``filter``: the families and the hooks that have them."""
_NAMED = {"raw": -300, "mangle": -150, "dstnat": -100, "filter": 0, "security": 50, "srcnat": 100}
_BRIDGE = {"dstnat": -300, "filter": -200, "out": 100, "srcnat": 300}
_ONE, _SEVERAL = 3, 4


def priorities(family: str) -> dict[str, int]:
    """Names of priorities in tables of a family."""
    if family == "bridge":
        return _BRIDGE
    return {"filter": 0} if family in ("netdev", "arp") else _NAMED


def chain_hook(tree: s.Chain, hook: s.Hook, family: str, scope: Scope) -> bytes:
    """NFTA_CHAIN_HOOK, TYPE, POLICY of a base chain."""
    hooks = HOOKS[family]
    if hook.hook not in hooks:
        raise Wrong(hook.at, f"tables of family {family} have no hook {hook.hook}",
                    did_you_mean(hook.hook, hooks))  # fmt: skip
    _check_type(hook, family)
    wants_device = hook.hook in ("ingress", "egress")
    if wants_device and not hook.devices:
        raise Wrong(hook.at, f"the hook {hook.hook} needs a device", 'as in device "eth0"')
    if hook.devices and not wants_device:
        raise Wrong(hook.at, f"the hook {hook.hook} takes no device")
    parts = [u32(1, hooks[hook.hook]), u32(2, priority(hook, family, scope)),
             *devices(hook.devices, scope)]  # fmt: skip
    body = nest(4, *parts) + text(7, hook.type)
    policy = _policy(tree, scope)
    if policy:
        body += u32(5, {"accept": 1, "drop": 0}[policy])
    return body + (u32(10, 2) if tree.offload else b"")


def _check_type(hook: s.Hook, family: str) -> None:
    if hook.type not in _TYPES:
        return
    families, hooks = _TYPES[hook.type]
    if family not in families:
        raise Wrong(hook.at, f"tables of family {family} have no chains of type {hook.type}",
                    f"those of {', '.join(families)} have")  # fmt: skip
    if hook.hook not in hooks:
        raise Wrong(hook.at, f"chains of type {hook.type} have no hook {hook.hook}",
                    f"known: {', '.join(hooks)}")  # fmt: skip


def _policy(tree: s.Chain, scope: Scope) -> str:
    if not tree.policy.startswith("$"):
        return tree.policy
    value = scope.replaced(s.Variable(tree.policy[1:], tree.at))
    word = value.kind if isinstance(value, s.Verdict) else getattr(value, "text", "")
    if word not in ("accept", "drop"):
        raise Wrong(tree.at, "a policy is accept or drop")
    return word


def priority(hook: s.Hook | s.Flowtable, family: str, scope: Scope) -> int:
    tree = scope.replaced(hook.priority) if hook.priority is not None else s.Value("0")
    if not isinstance(tree, s.Value):
        raise Wrong(hook.at, "a priority is a number or a name")
    known = priorities(family)
    if tree.text in known:
        return known[tree.text] + hook.offset
    try:
        number = int(tree.text) + hook.offset
    except ValueError:
        raise Wrong(tree.at, f"tables of family {family} have no priority {tree.text!r}",
                    did_you_mean(tree.text, known)) from None  # fmt: skip
    if not -(1 << 31) <= number < 1 << 31:
        raise Wrong(tree.at, f"the priority {number} has more than 32 bits")
    return number


def devices(trees: tuple[s.Expression, ...], scope: Scope) -> list[bytes]:
    """One device, or several, by name."""
    names = device_names(trees, scope)
    if len(names) == 1:
        return [text(_ONE, names[0])]
    return [nest(_SEVERAL, *(text(1, name) for name in names))] if names else []


def device_names(trees: tuple[s.Expression, ...], scope: Scope) -> list[str]:
    names = []
    for tree in trees:
        value = scope.replaced(tree)
        several = value.elements if isinstance(value, s.SetLiteral) else (s.Element(value),)
        for each in scope.elements(several):
            if not isinstance(each.key, s.Value):
                raise Wrong(each.at, "expected the name of a device")
            if not 0 < len(each.key.text.encode()) < 16:
                raise Wrong(each.key.at, "the name of a device has 1 to 15 bytes")
            names.append(each.key.text)
    return names
