//! Going down.

use super::*;

#[test]
fn draining_tells_everyone_once_and_ends() {
    let mut world = World::new();
    let peers: Vec<_> = (0..20).map(|_| world.open()).collect();
    let queued = world.host.connect();
    world
        .post
        .post(Mail::Drain { window_ms: 2_000 })
        .expect("room");
    world.settle(&[Event::Mail]);
    assert!(!world.host.is_listening());
    queued.arrive(REQUEST);
    let told = |peers: &[(Script, ConnId)]| {
        peers
            .iter()
            .filter(|(peer, _)| !peer.sent().is_empty())
            .count()
    };
    world.pass(1_000);
    let halfway = told(&peers);
    assert!(
        (1..20).contains(&halfway),
        "spread over the window, {halfway} after half of it"
    );
    world.pass(1_000);
    assert_eq!(told(&peers), 20);
    for (peer, id) in &peers {
        assert_eq!(peer.sent(), close_frame(1001, "server is going down"));
        world.say(peer, *id, &masked(Opcode::Close, &1001u16.to_be_bytes()));
    }
    world.pass(4_000);
    assert_eq!(world.last, Turn::Finished);
    assert!(peers.iter().all(|(peer, _)| peer.is_closed()));
    assert!(queued.is_closed());
}

#[test]
fn stop_ends_at_once_and_says_so_to_the_application() {
    let mut world = World::new();
    let (script, id) = world.open();
    world.post.post(Mail::Stop).expect("room");
    world.turn(&[Event::Mail]);
    assert_eq!(world.last, Turn::Finished);
    assert!(script.is_closed());
    assert_eq!(world.ending(id), Some(Ending::Stopped));
}

#[test]
fn a_crowd_is_told_in_slices() {
    let mut world = World::with(Limits::default(), 3000);
    let peers: Vec<_> = (0..3000).map(|_| world.open()).collect();
    let told = || peers.iter().filter(|(peer, _)| !peer.sent().is_empty());
    world.post.post(Mail::Drain { window_ms: 0 }).expect("room");
    world.turn(&[Event::Mail]); // asks for newcomers a last time
    world.turn(&[]);
    assert!((1..=1024).contains(&told().count()));
    assert_eq!(world.last, Turn::Wait(0), "the rest is told at once");
    world.settle(&[]);
    assert_eq!(told().count(), 3000);
}
