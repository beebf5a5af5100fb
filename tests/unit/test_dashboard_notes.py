"""The dashboard recognises sentences of the bridge by their words, to show them in its own language."""

import re

from tests.support.source_files import ROOT

CATALOGUE = ROOT / "medusa-plugin/src/admin/i18n/en/explanation.ts"
PACKAGES = (
    "programme", "settlement", "redemptions", "ledger", "inbox", "imports", "medusa", "outgoing", "products",
    "simulation", "api",
)  # fmt: skip
WORDING = ROOT / "medusa-plugin/src/admin/lib/wording.ts"
# Values are put into some sentences, so only the beginning of each part is compared.
COMPARED_CHARACTERS = 30


def test_the_dashboards_notes_match_sentences_of_the_bridge() -> None:
    known = CATALOGUE.read_text().split("  notes: {")[1]
    texts = re.findall(r'^    \w+: "(.+)",$', known, re.MULTILINE)
    sources = "".join(file.read_text() for name in PACKAGES for file in (ROOT / "bridge" / name).rglob("*.py"))
    parts = [part.strip(" .") for text in texts for part in re.split(r"{{\w+}}", text)]
    assert len(texts) > 30
    assert [part for part in parts if part[:COMPARED_CHARACTERS] not in sources] == []


def test_the_dashboards_findings_match_sentences_of_the_bridge() -> None:
    own = WORDING.read_text().split("// The bridge itself.")[1]
    patterns = re.findall(r"^ +\[?/\^?(.+?)/s?,", own, re.MULTILINE)
    sources = "".join(file.read_text() for file in (ROOT / "bridge").rglob("*.py"))
    # The longest words between the values of each pattern.
    words = [max(re.split(r"\(\?<\w+>.+?\)|\\S\+|\\d\+|\.\+|\\.|\$", pattern), key=len) for pattern in patterns]
    assert len(patterns) > 30
    assert [part for part in words if part.strip(" ()':")[:COMPARED_CHARACTERS] not in sources] == []
