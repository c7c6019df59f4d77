from iommutui.core.host import Host
from iommutui.sources.tree import Tree


def with_fits(tree: Tree, host: Host) -> Host:
    return host
