"""The docs and the dashboard explain the same codes of failed events."""

import re

from tests.support.source_files import ROOT


def test_the_dashboard_explains_each_code_that_the_docs_list() -> None:
    _, _, section = (ROOT / "docs/how-to/monitoring.md").read_text().partition("## What a failure means")
    documented = re.findall(r"^\| `(\w+)` \|", section.partition("\n## ")[0], re.MULTILINE)
    texts = (ROOT / "medusa-plugin/src/admin/i18n/en/failures.ts").read_text()
    assert len(documented) > 10
    assert sorted(documented) == sorted(re.findall(r"^  (\w+):", texts, re.MULTILINE))
