//! The scenarios that come with the program.

/// Each with its name and its text, in the order in which they are listed.
pub const SHIPPED: &[(&str, &str)] = &[
    ("paper", include_str!("../../scenarios/paper.toml")),
    ("home-wifi", include_str!("../../scenarios/home-wifi.toml")),
    ("flapping-factory", include_str!("../../scenarios/flapping-factory.toml")),
    ("rolling-reboot", include_str!("../../scenarios/rolling-reboot.toml")),
    ("leader-assassin", include_str!("../../scenarios/leader-assassin.toml")),
    ("one-way-partition", include_str!("../../scenarios/one-way-partition.toml")),
    ("split-in-three", include_str!("../../scenarios/split-in-three.toml")),
    ("slow-disk", include_str!("../../scenarios/slow-disk.toml")),
    ("slow-replicas", include_str!("../../scenarios/slow-replicas.toml")),
    ("crashing-replicas", include_str!("../../scenarios/crashing-replicas.toml")),
    ("one-liar", include_str!("../../scenarios/one-liar.toml")),
    ("fleet-100", include_str!("../../scenarios/fleet-100.toml")),
    ("fleet-1000", include_str!("../../scenarios/fleet-1000.toml")),
];
