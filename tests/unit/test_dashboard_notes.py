"""The dashboard recognises the bridge's stored sentences by their words, to show them in its own language."""

import re

from tests.support.source_files import ROOT

CATALOGUE = ROOT / "medusa-plugin/src/admin/i18n/en/explanation.ts"
PACKAGES = ("programme", "settlement", "redemptions", "ledger", "inbox", "imports")
# Values are put into some sentences, so only the beginning of each part is compared.
COMPARED_CHARACTERS = 30


def test_the_bridge_has_the_words_of_the_dashboards_notes() -> None:
    known = CATALOGUE.read_text().split("  notes: {")[1]
    texts = re.findall(r'^    \w+: "(.+)",$', known, re.MULTILINE)
    sources = "".join(file.read_text() for name in PACKAGES for file in (ROOT / "bridge" / name).rglob("*.py"))
    parts = [part.strip(" .") for text in texts for part in re.split(r"{{\w+}}", text)]
    assert len(texts) > 30
    assert [part for part in parts if part[:COMPARED_CHARACTERS] not in sources] == []
