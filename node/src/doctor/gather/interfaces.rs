//! The network interfaces, as the system lists them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::net::if_::{InterfaceFlags, if_nametoindex};

use crate::doctor::facts::{Address, Interface};

/// Interfaces looked at; a host of many containers has more, which do not matter here.
const INTERFACES_MAX: usize = 64;
/// How the names of interfaces begin that lead to containers and virtual machines on the same device.
const FOR_CONTAINERS: [&str; 11] =
    ["docker", "br-", "veth", "virbr", "vnet", "cni", "flannel", "cali", "lxc", "lxdbr", "podman"];

/// All of them, by name; none if the system does not say.
pub(super) fn interfaces() -> Vec<Interface> {
    let mut found: BTreeMap<String, Interface> = BTreeMap::new();
    for entry in getifaddrs().into_iter().flatten() {
        if found.len() >= INTERFACES_MAX && !found.contains_key(&entry.interface_name) {
            continue;
        }
        let interface = found.entry(entry.interface_name.clone()).or_insert_with(|| without_addresses(&entry));
        interface.addresses.extend(address(&entry));
    }
    found.into_values().collect()
}

fn without_addresses(entry: &InterfaceAddress) -> Interface {
    let name = &entry.interface_name;
    Interface {
        name: name.clone(),
        index: if_nametoindex(name.as_str()).unwrap_or(0),
        up: entry.flags.contains(InterfaceFlags::IFF_UP | InterfaceFlags::IFF_RUNNING),
        loopback: entry.flags.contains(InterfaceFlags::IFF_LOOPBACK),
        multicast: entry.flags.contains(InterfaceFlags::IFF_MULTICAST),
        point_to_point: entry.flags.contains(InterfaceFlags::IFF_POINTOPOINT),
        for_containers: is_for_containers(name),
        addresses: Vec::new(),
    }
}

fn is_for_containers(name: &str) -> bool {
    FOR_CONTAINERS.iter().any(|prefix| name.starts_with(prefix))
}

fn address(entry: &InterfaceAddress) -> Option<Address> {
    let ip = |storage: Option<&nix::sys::socket::SockaddrStorage>| -> Option<IpAddr> {
        let storage = storage?;
        let v4 = storage.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
        v4.or_else(|| storage.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip())))
    };
    let prefix_bits = match ip(entry.netmask.as_ref()) {
        Some(IpAddr::V4(mask)) => mask.to_bits().leading_ones(),
        Some(IpAddr::V6(mask)) => mask.to_bits().leading_ones(),
        // Without a mask, as on a tunnel: the address alone.
        None => 128,
    };
    Some(Address { ip: ip(entry.address.as_ref())?, prefix_bits })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_there_with_its_address_and_network() {
        let interfaces = interfaces();
        let loopback = interfaces.iter().find(|i| i.loopback).unwrap();
        let address = loopback.addresses.iter().find(|a| a.ip.is_ipv4()).unwrap();
        assert!(address.ip.is_loopback() && address.is_beside("127.9.9.9".parse().unwrap()), "{address:?}");
        assert!(loopback.index != 0 && !loopback.for_containers);
    }

    #[test]
    fn interfaces_of_containers_are_known_by_their_names() {
        assert!(["docker0", "br-1a2b", "veth7", "virbr0"].iter().all(|name| is_for_containers(name)));
        assert!(!["eth0", "wlan0", "enp3s0", "br0", "end0"].iter().any(|name| is_for_containers(name)));
    }
}
