"""The sandbox of a pod: its names, its resolver's settings, its ports of the machine.

Source: kubernetes `pkg/kubelet/kubelet_pods.go` (GeneratePodHostNameAndDomain), `pkg/kubelet/network/dns`,
`pkg/kubelet/kuberuntime/kuberuntime_sandbox.go`.
"""

from podwire.proto.kube.pod import Pod
from podwire.proto.messages.runtime import Dns, HostAlias, PortMapping, SandboxConfig

_LONGEST_HOSTNAME = 64


def sandbox_hostname(pod: Pod) -> str:
    """The host name inside the pod: at most 63 characters (RFC 1123)."""
    return (pod.spec.hostname or pod.metadata.name)[:63].rstrip("-.")


def domain_of(pod: Pod, cluster_domain: str) -> str:
    """The pod's own domain, which only a subdomain gives it."""
    return f"{pod.spec.subdomain}.{pod.metadata.namespace}.svc.{cluster_domain}" if pod.spec.subdomain else ""


def _hostname(pod: Pod, domain: str) -> str:
    name = sandbox_hostname(pod)
    return f"{name}.{domain}"[:_LONGEST_HOSTNAME] if pod.spec.set_hostname_as_fqdn and domain else name


def sandbox_config(pod: Pod, attempt: int, cluster_dns: str, cluster_domain: str, node: str) -> SandboxConfig:
    """The sandbox of a pod; the resolver's settings by its dnsPolicy."""
    domain = domain_of(pod, cluster_domain)
    return SandboxConfig(
        uid=pod.metadata.uid,
        namespace=pod.metadata.namespace,
        name=pod.metadata.name,
        attempt=attempt,
        hostname=node if pod.spec.host_network else _hostname(pod, domain),
        domain=domain,
        host_network=pod.spec.host_network,
        host_pid=pod.spec.host_pid,
        shares_processes=pod.spec.share_process_namespace,
        dns=_dns(pod, cluster_dns, cluster_domain),
        host_aliases=[
            HostAlias(address=alias.ip, names=list(alias.hostnames or [])) for alias in pod.spec.host_aliases or []
        ],
        port_mappings=_port_mappings(pod),
    )


def _port_mappings(pod: Pod) -> list[PortMapping]:
    if pod.spec.host_network:
        return []
    return [
        PortMapping(
            protocol=port.protocol.lower(),
            container_port=port.container_port,
            host_port=port.host_port,
            host_address=port.host_ip,
        )
        for container in pod.spec.all_containers
        for port in container.ports or []
        if port.host_port
    ]


def _dns(pod: Pod, cluster_dns: str, domain: str) -> Dns:
    policy = pod.spec.dns_policy
    uses_cluster = policy == "ClusterFirstWithHostNet" or (policy == "ClusterFirst" and not pod.spec.host_network)
    servers = [cluster_dns] if uses_cluster else []
    searches = [f"{pod.metadata.namespace}.svc.{domain}", f"svc.{domain}", domain] if uses_cluster else []
    options = {"ndots": "5"} if uses_cluster else {}
    own = pod.spec.dns_config
    if own is not None:
        servers += [entry for entry in own.nameservers or [] if entry not in servers]
        searches += [entry for entry in own.searches or [] if entry not in searches]
        options |= {option.name: option.value or "" for option in own.options or []}
    return Dns(
        servers=servers,
        searches=searches,
        options=[f"{name}:{value}" if value else name for name, value in options.items()],
        uses_host=policy != "None" and not uses_cluster,
    )
