"""The termination message of a container (kubernetes `pkg/kubelet/kuberuntime/kuberuntime_container.go`,
getTerminationMessage): what it wrote to its terminationMessagePath, or the end of its log."""

from typing import Final

from podwire.services.node.runtime.records import ContainerRecord

_LONGEST: Final = 4096
_LONGEST_LOG: Final = 2048
_LOG_LINES: Final = 80


def termination_message(record: ContainerRecord) -> str:
    """The message, "" where there is none."""
    config = record.config
    data = record.files.read(config.termination_message_path) if config.termination_message_path else None
    if data:
        return data[-_LONGEST:].decode(errors="replace")
    if config.termination_message_policy != "FallbackToLogsOnError" or record.exit_code == 0:
        return ""
    _, lines = record.log.read(0)
    text = "".join(f"{line.text}\n" for line in lines[-_LOG_LINES:]).encode()
    return text[-_LONGEST_LOG:].decode(errors="replace")
