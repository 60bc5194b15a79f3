"""The loader with the kinds that netlab has."""

from pathlib import Path

from netlab import devices, links, nodes
from netlab.errors import TopologyError
from netlab.model.load import Loaded, load

ROOT = Path(__file__).parents[2]
NODES = {name: kind.settings for name, kind in nodes.catalog().items()}
DEVICES = {name: kind.settings for name, kind in devices.catalog().items()}
LINKS = {name: kind.settings for name, kind in links.catalog().items()}


def read(text: bytes | str, file: str = "lab.yaml") -> Loaded:
    return load(text, file, nodes=NODES, devices=DEVICES, links=LINKS)


def said(loaded: Loaded) -> list[str]:
    """As the user sees it, without the file's name."""
    sentences = TopologyError("", loaded.problems).sentences()
    return [sentence.removeprefix(":") for sentence in sentences]
