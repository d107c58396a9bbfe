//! Strangers: idle, noisy, with a key of another fleet.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use rocoin_netsim::harness::{Mesh, wait_until};
use socket2::{Domain, Socket, Type};

use super::fleet::{Load, PATIENCE, all_routable, binary, counter, options, serving};

/// Handshakes that may be under way at once from one host.
const PER_HOST: usize = 32;

fn socket_address(multiaddr: &str) -> SocketAddr {
    let parts: Vec<&str> = multiaddr.split('/').collect();
    format!("{}:{}", parts[2], parts[4]).parse().unwrap()
}

/// A connection from another host than the members': all of 127/8 is this machine.
fn stranger(address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 66], 0)).into()).unwrap();
    socket.connect(&address.into()).unwrap();
    socket.into()
}

/// Open descriptors of a process.
fn descriptors(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

#[test]
fn strangers_are_shown_the_door_soon_and_members_still_come_in_and_are_answered() {
    let mut mesh = serving(Mesh::new(binary()).unwrap(), ["a", "b", "c"].map(options).to_vec());
    let pid = mesh.nodes()[0].pid().unwrap();
    let address = socket_address(&mesh.nodes()[0].announcement().unwrap().addresses[0]);
    let load = Load::start(&mesh, &[0, 1, 2]);
    load.answer(5);
    let before = (descriptors(pid), counter(&mesh.nodes()[0], "network_strangers"));

    let idle: Vec<TcpStream> = (0..10 * PER_HOST).map(|_| stranger(address)).collect();
    let mut noisy = stranger(address);
    let _ = noisy.write_all(&[0x55; 10_000]);
    assert!(descriptors(pid) <= before.0 + PER_HOST + 16, "{} after {}", descriptors(pid), before.0);

    // Beside them a member comes in, by way of the same door.
    mesh.start(options("late")).unwrap();
    all_routable(&mesh, 4);
    load.answer(5);

    let strangers = idle.len() as u64 + 1;
    wait_until("every stranger is turned away", PATIENCE, || {
        let turned_away = counter(&mesh.nodes()[0], "network_strangers") - before.1;
        if turned_away >= strangers { Ok(()) } else { Err(format!("{turned_away} of {strangers}")) }
    })
    .unwrap();
    for mut stranger in idle {
        stranger.set_nonblocking(true).unwrap();
        let mut heard = Vec::new();
        let _ = stranger.read_to_end(&mut heard);
        assert!(heard.len() <= 24, "a random nonce at most, and nothing of the fleet: {} bytes", heard.len());
    }
    wait_until("nothing of them is left", PATIENCE, || {
        let (now, then) = (descriptors(pid), before.0);
        // The member that came in has connections, too.
        if now <= then + 16 { Ok(()) } else { Err(format!("{now} descriptors, {then} before")) }
    })
    .unwrap();
    let (_, failed) = load.stop();
    assert!(failed.is_empty(), "{failed:?}");
}
