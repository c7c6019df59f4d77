"""Network interfaces in use, found in trees of files."""

import os
from pathlib import Path

import pytest

from iommutui.core.uses import Network
from iommutui.sources.processes import session_address
from tests.sources.used import A, B, Machine

ROUTES = "Iface Destination Gateway Flags RefCnt Use Metric Mask\n"
DEFAULT4 = "{} 00000000 0101A8C0 0003 0 0 0 00000000 0 0 0\n"
LINK4 = "{} 0001A8C0 00000000 0001 0 0 0 00FFFFFF 0 0 0\n"


def test_a_default_route_through_a_bridge_on_a_bond_is_found(machine: Machine) -> None:
    eth = [machine.class_device("net", name, address) for name, address in (("eth0", A), ("eth1", B))]
    bond, bridge = (machine.class_device("net", name, "virtual") for name in ("bond0", "br0"))
    (bond / "bonding").mkdir()
    for interface in eth:
        (bond / f"lower_{interface.name}").symlink_to(os.path.relpath(interface, bond))
    (bridge / "lower_bond0").symlink_to("../bond0")
    machine.proc(route=ROUTES + DEFAULT4.format("br0") + LINK4.format("br0"))
    uses = machine.uses(session="192.168.1.5")
    both = [u for u in uses.network if u.chain[0] == "br0"]
    assert both == [
        Network(A, ("br0", "bond0", "eth0"), True, True, True, True),
        Network(B, ("br0", "bond0", "eth1"), True, True, True, True),
    ]
    assert {u.default_route for u in uses.network if u.chain[0] == "bond0"} == {False}


@pytest.mark.parametrize(
    ("tables", "session", "expected"),
    [
        ({"route": ROUTES + DEFAULT4.format("eth0")}, None, (True, True, False)),
        ({"route": ROUTES + LINK4.format("eth0")}, None, (False, True, False)),
        ({"route": ROUTES + LINK4.format("eth0")}, "192.168.1.5", (False, True, True)),
        ({"route": ROUTES + LINK4.format("eth0")}, "::ffff:192.168.1.5", (False, True, True)),
        ({"route": ROUTES + LINK4.format("eth0")}, "192.168.2.5", (False, True, False)),
        ({"route": ROUTES + LINK4.format("eth0")}, "999.1.1", (False, True, False)),
        ({"route": ROUTES + "eth0 0000FEA9 00000000 0001 0 0 0 0000FFFF\n"}, None, None),
        ({"route": ROUTES + "eth0 00000000 00000000 0201 0 0 0 00000000\n"}, None, None),
        ({"route": ROUTES + "eth0 zz\n\neth0\n"}, None, None),
        ({"if_inet6": "20010db8000000000000000000000001 02 40 00 80 eth0\n"}, "2001:db8::1", (False, True, True)),
        ({"if_inet6": "fe800000000000000000000000000001 02 40 20 80 eth0\n"}, "fe80::1%eth0", (False, False, True)),
        ({"if_inet6": "fe800000000000000000000000000001 02 40 20 80 eth0\n"}, None, None),
        ({"if_inet6": "rubbish\n"}, "::::", None),
        ({"ipv6_route": f"{'0' * 32} 00 {'0' * 32} 00 {'f' * 32} 00000400 1 0 00000003 eth0\n"}, None,
         (True, False, False)),
        ({"ipv6_route": f"{'0' * 32} 00 {'0' * 32} 00 {'0' * 32} ffffffff 1 0 00200200 lo\n"}, None, None),
    ],
)  # fmt: skip
def test_the_uses_of_an_interface_are_found(
    machine: Machine, tables: dict[str, str], session: str | None, expected: tuple[bool, bool, bool] | None
) -> None:
    machine.class_device("net", "eth0", A)
    machine.proc(**tables)
    found = [(u.default_route, u.address, u.session) for u in machine.uses(session).network]
    assert found == ([expected] if expected else [])


def test_interfaces_in_a_cycle_do_not_loop(machine: Machine) -> None:
    first, second = (machine.class_device("net", name, "virtual") for name in ("a", "b"))
    (first / "lower_b").symlink_to("../b")
    (second / "lower_a").symlink_to("../a")
    (first / "lower_gone").symlink_to("../gone")
    assert machine.uses().network == ()


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({7: ("SSH_CONNECTION=10.0.0.9 51000 10.0.0.1 22", 1)}, "10.0.0.1"),
        ({7: ("SSH_CONNECTION=rubbish\0", 1)}, None),
        ({7: ("A=1\0SSH_CONNECTION=10.0.0.9 5 10.0.0.1 22\0", 1)}, "10.0.0.1"),
        ({7: ("A=1\0", 6), 6: ("SSH_CONNECTION=10.0.0.9 5 fe80::1%eth0 22\0", 1)}, "fe80::1%eth0"),
        ({7: (None, 6), 6: ("SSH_CONNECTION=10.0.0.9 5 10.0.0.1 22\0", 1)}, "10.0.0.1"),
        ({7: ("XSSH_CONNECTION=10.0.0.9 5 10.0.0.1 22\0", 1)}, None),
        ({7: ("A=1\0", 7)}, None),
        ({}, None),
    ],
)
def test_the_interface_of_the_programs_own_session_is_found(
    tmp_path: Path, files: dict[int, tuple[str | None, int]], expected: str | None
) -> None:
    for pid, (variables, parent) in files.items():
        place = tmp_path / f"proc/{pid}"
        place.mkdir(parents=True)
        (place / "stat").write_text(f"{pid} (a) b) S {parent} 1 1")
        if variables is not None:
            (place / "environ").write_text(variables)
    assert session_address(str(tmp_path), 7) == expected
