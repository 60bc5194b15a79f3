"""Our compiler and our listing against ``nft`` itself, over the whole corpus."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.firewall.coverage import FILES, JUDGEMENTS, expected
from tests.live.firewall import in_a_namespace, judge

pytestmark = pytest.mark.skipif(not shutil.which("nft"), reason="nft, the judge, is not installed")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_nft_and_netlab_mean_the_same(file: Path) -> None:
    found = in_a_namespace(lambda: judge(file.read_text()))
    assert found == {each: expected(file.name, each) for each in JUDGEMENTS}
