//! These make namespaces; where there can be none they say so and do nothing.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use super::{Hosts, Impairment, Line, Namespace, ip};
use crate::harness::wait_until;

const PATIENCE: Duration = Duration::from_secs(20);

fn hosts(count: usize) -> Option<Hosts> {
    match Hosts::available() {
        Ok(()) => Some(Hosts::new(count).unwrap()),
        Err(reason) => {
            eprintln!("skipped: {reason}");
            None
        }
    }
}

/// A datagram from one host to another and back, within so long; how long it took.
fn echo(hosts: &Hosts, from: usize, to: usize, within: Duration) -> Option<Duration> {
    let [asking, asked] = [from, to].map(|host| {
        let host = &hosts.all()[host];
        let socket = host.namespace().within(|| UdpSocket::bind((host.v4().as_str(), 0)).unwrap()).unwrap();
        socket.set_read_timeout(Some(within)).unwrap();
        socket
    });
    let start = Instant::now();
    let mut buffer = [0; 8];
    asking.send_to(b"ask", asked.local_addr().unwrap()).ok()?;
    let (_, back) = asked.recv_from(&mut buffer).ok()?;
    asked.send_to(b"answer", back).ok()?;
    asking.recv_from(&mut buffer).ok()?;
    Some(start.elapsed())
}

fn reaches(hosts: &Hosts, from: usize, to: usize) -> bool {
    echo(hosts, from, to, Duration::from_millis(200)).is_some()
}

fn comes_to_reach(hosts: &Hosts, from: usize, to: usize) {
    let look = || reaches(hosts, from, to).then_some(()).ok_or_else(|| "nothing comes back".to_owned());
    wait_until("they reach each other", PATIENCE, look).unwrap();
}

#[test]
fn hosts_reach_each_other_on_one_island_only() {
    let Some(hosts) = hosts(3) else { return };
    comes_to_reach(&hosts, 0, 1);
    comes_to_reach(&hosts, 0, 2);
    hosts.join(&[2], 1).unwrap();
    assert!(reaches(&hosts, 0, 1));
    assert!(!reaches(&hosts, 0, 2));
    hosts.cut(&[1]).unwrap();
    assert!(!reaches(&hosts, 0, 1));
    hosts.heal().unwrap();
    comes_to_reach(&hosts, 0, 1);
    comes_to_reach(&hosts, 0, 2);
}

#[test]
fn they_reach_each_other_by_ipv6_and_by_multicast_too() {
    let Some(hosts) = hosts(2) else { return };
    let [a, b] = [0, 1].map(|host| &hosts.all()[host]);
    let listener = a.namespace().within(|| TcpListener::bind((a.v6().as_str(), 0)).unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    wait_until("a connection by IPv6", PATIENCE, || {
        b.namespace().within(|| TcpStream::connect(address)).unwrap().map_err(|e| e.to_string())
    })
    .unwrap();
    let group = "239.1.2.3".parse().unwrap();
    let heard = a.namespace().within(|| UdpSocket::bind("0.0.0.0:7777").unwrap()).unwrap();
    a.namespace().within(|| heard.join_multicast_v4(&group, &a.v4().parse().unwrap()).unwrap()).unwrap();
    heard.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let said = b.namespace().within(|| UdpSocket::bind((b.v4().as_str(), 0)).unwrap()).unwrap();
    wait_until("a word to the group", PATIENCE, || {
        said.send_to(b"hello", (group, 7777)).map_err(|e| e.to_string())?;
        heard.recv(&mut [0; 8]).map_err(|e| e.to_string())
    })
    .unwrap();
}

#[test]
fn a_bad_line_delays_and_loses_each_way_by_itself() {
    let Some(hosts) = hosts(2) else { return };
    comes_to_reach(&hosts, 0, 1);
    let late = Line { delay: Duration::from_millis(150), ..Line::default() };
    hosts.impair(1, Impairment { sent: late, received: Line::default() }).unwrap();
    let look = || echo(&hosts, 0, 1, Duration::from_secs(2)).ok_or_else(|| "nothing comes back".to_owned());
    let took = wait_until("an answer over the slow line", PATIENCE, look).unwrap();
    assert!(took >= Duration::from_millis(150), "{took:?}");
    let lossy = Line { loss: 1.0, ..Line::default() };
    hosts.impair(1, Impairment { sent: Line::default(), received: lossy }).unwrap();
    assert!(!reaches(&hosts, 0, 1));
    hosts.impair(1, Impairment::default()).unwrap();
    comes_to_reach(&hosts, 0, 1);
}

#[test]
fn a_bad_line_goes_with_its_host_from_island_to_island() {
    let Some(hosts) = hosts(2) else { return };
    hosts.impair(0, Impairment::both(Line { delay: Duration::from_millis(1), ..Line::default() })).unwrap();
    comes_to_reach(&hosts, 0, 1);
    hosts.join(&[0], 1).unwrap();
    assert!(!reaches(&hosts, 0, 1));
    hosts.join(&[1], 1).unwrap();
    comes_to_reach(&hosts, 0, 1);
}

#[test]
fn a_limited_rate_holds_up_what_is_sent() {
    const BYTES: usize = 60_000;
    let Some(hosts) = hosts(2) else { return };
    comes_to_reach(&hosts, 0, 1);
    hosts.limit_rate(0, Some(1_000_000)).unwrap();
    let [a, b] = [0, 1].map(|host| &hosts.all()[host]);
    let listener = b.namespace().within(|| TcpListener::bind((b.v4().as_str(), 0)).unwrap()).unwrap();
    let mut sending = a.namespace().within(|| TcpStream::connect(listener.local_addr().unwrap()).unwrap()).unwrap();
    let (mut receiving, _) = listener.accept().unwrap();
    receiving.set_read_timeout(Some(PATIENCE)).unwrap();
    let start = Instant::now();
    std::thread::spawn(move || sending.write_all(&vec![0; BYTES]));
    receiving.read_exact(&mut vec![0; BYTES]).unwrap();
    // At 1 Mbit/s they take 0.48 s, less what the bucket lets through at once. A slow machine only takes longer.
    assert!(start.elapsed() >= Duration::from_millis(250), "{:?}", start.elapsed());
}

#[test]
fn what_was_made_is_gone_at_the_end_and_what_ran_there_too() {
    let Some(hosts) = hosts(1) else { return };
    let name = hosts.all()[0].namespace().name().to_owned();
    let mut sleeper = hosts.all()[0].command("sleep").arg("60").spawn().unwrap();
    // It is there only when `ip` has entered and become it.
    let pid = sleeper.id().to_string();
    wait_until("the process is inside", PATIENCE, || {
        let inside = ip::netns(&["pids", &name]).map_err(|e| e.to_string())?;
        inside.lines().any(|line| line.trim() == pid).then_some(()).ok_or(inside)
    })
    .unwrap();
    assert!(exists(&name));
    drop(hosts);
    assert!(!exists(&name));
    assert!(!sleeper.wait().unwrap().success());
}

#[test]
fn a_thread_that_was_inside_is_back_where_it_came_from() {
    let Some(hosts) = hosts(1) else { return };
    let here = || std::fs::read_link("/proc/thread-self/ns/net").unwrap();
    let (before, namespace): (_, &Namespace) = (here(), hosts.all()[0].namespace());
    let inside = namespace.within(here).unwrap();
    assert_ne!(before, inside);
    assert_eq!(before, here());
}

#[test]
fn a_host_or_an_island_that_there_is_not_is_refused() {
    let Some(hosts) = hosts(1) else { return };
    assert!(hosts.cut(&[1]).is_err() && hosts.join(&[0], 99).is_err() && Hosts::new(1000).is_err());
}

fn exists(namespace: &str) -> bool {
    Path::new("/run/netns").join(namespace).exists()
}
