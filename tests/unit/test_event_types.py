"""The plugin forwards the events that have an effect in Dust, and no others."""

import re

from bridge.inbox.events import EVENT_TYPES
from tests.support.source_files import ROOT

PLUGIN = ROOT / "medusa-plugin/src"
# The plugin sends this one itself.
OWN_EVENT = "dust.code_removed"


def test_the_plugin_forwards_each_event_with_an_effect_once() -> None:
    source = (PLUGIN / "lib/events.ts").read_text()
    (listed,) = re.findall(r"FORWARDED_EVENTS = \[(.*?)\]", source, re.DOTALL)
    forwarded = re.findall(r'"([^"]+)"', listed)
    assert sorted(forwarded) == sorted(set(EVENT_TYPES) - {OWN_EVENT})


def test_the_plugin_sends_the_event_of_its_own() -> None:
    assert any(f'"{OWN_EVENT}"' in file.read_text() for file in PLUGIN.rglob("*.ts"))
