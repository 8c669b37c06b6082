"""`python -m podwire.services.node`."""

from podwire.services.chassis.live.process import main
from podwire.services.node.service import Node
from podwire.services.node.settings import NodeSettings

if __name__ == "__main__":
    main("node", NodeSettings, Node)
