//! TLS peers that do nothing, or will not read: what they cost while they do.

use super::tls::{Peer, tls_config, worker_config};
use super::*;
use crate::reactor::desk::RECV_BYTES;

/// Nobody is pinged: every turn that does something is one too many.
fn world() -> World {
    World::made_of(&WorkerConfig {
        limits: Limits {
            ping_interval_ms: 0,
            ..Limits::default()
        },
        ..worker_config(tls_config())
    })
}

fn queued_bytes(world: &mut World, id: ConnId) -> usize {
    world
        .worker
        .entries
        .of(id)
        .expect("it is there")
        .queued_bytes()
}

#[test]
fn silence_costs_no_call_and_no_turn() {
    let mut world = world();
    let peers: Vec<Peer> = (0..20).map(|_| Peer::open(&mut world)).collect();
    let calls: Vec<_> = peers.iter().map(|peer| peer.script.calls()).collect();
    for _ in 0..3_600 {
        world.now_ms += 1_000;
        world.turn(&[]);
        assert!(matches!(world.last, Turn::Wait(1..)), "it would spin");
    }
    let after: Vec<_> = peers.iter().map(|peer| peer.script.calls()).collect();
    assert_eq!(after, calls);
    assert_eq!(world.worker.connections(), 20);
    let tls = world.worker.desk.tls.as_ref().expect("a world with TLS");
    assert_eq!(tls.sessions.tail_bytes(), 0, "nothing but keys is kept");
}

#[test]
fn who_does_not_read_is_not_read_from_and_keeps_within_its_budget() {
    let mut world = world();
    let mut peer = Peer::open(&mut world);
    peer.script.block_after(0);
    for n in 0..100 {
        assert!(peer.end.say(&[&masked(Opcode::Binary, &[n; 30_000])]));
        let flight = std::mem::take(&mut peer.end.out);
        world.say(&peer.script, peer.id, &flight);
    }
    assert!(
        peer.script.has_unread(),
        "three megabytes wait in its kernel"
    );
    let budget = Limits::default().queue_bytes_high + 2 * RECV_BYTES;
    let queued = queued_bytes(&mut world, peer.id);
    assert!(queued > 0 && queued < budget, "{queued} of {budget}");
    let calls = peer.script.calls();
    for _ in 0..600 {
        world.now_ms += 1_000;
        world.turn(&[]);
        assert!(matches!(world.last, Turn::Wait(1..)), "it would spin");
    }
    assert_eq!(peer.script.calls(), calls);
    assert_eq!(queued_bytes(&mut world, peer.id), queued);
}

#[test]
fn half_a_goodbye_costs_a_close_timeout_and_no_more() {
    let mut world = world();
    let mut peer = Peer::open(&mut world);
    peer.script.block_after(0);
    assert!(peer.end.say(&[&masked(Opcode::Binary, &[1; 30_000])]));
    peer.end.close();
    let flight = std::mem::take(&mut peer.end.out);
    world.say(&peer.script, peer.id, &flight);
    peer.hang_up(&mut world);
    assert_eq!(world.ending(peer.id), Some(Ending::HungUp));
    assert!(
        queued_bytes(&mut world, peer.id) > 0,
        "it still gets what we owe"
    );
    let calls = peer.script.calls();
    world.pass(2_500);
    assert_eq!(peer.script.calls(), calls, "it waits without asking");
    world.pass(1_500);
    assert_eq!(world.worker.connections(), 0);
}
