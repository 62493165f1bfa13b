//! The wake-up protocol in every order its steps can take, and the real thing under load.

use super::*;
use mio::{Events, Poll, Token};
use std::collections::HashSet;
use std::thread;
use std::time::Duration;

fn poll() -> (Poll, Arc<Waker>) {
    let poll = Poll::new().unwrap();
    let waker = Waker::new(poll.registry(), Token(0)).unwrap();
    (poll, Arc::new(waker))
}

/// Whether a wake-up is pending.
fn is_woken(poll: &mut Poll) -> bool {
    let mut events = Events::with_capacity(4);
    poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
    !events.is_empty()
}

#[test]
fn a_batch_is_announced_once() {
    let (mut poll, waker) = poll();
    let (post, mut mailbox) = mailbox(waker, 8);
    assert_eq!(mailbox.take(), None);
    for letter in 0..5 {
        post.clone().post(letter).unwrap();
        assert_eq!(is_woken(&mut poll), letter == 0);
    }
    for letter in 0..5 {
        assert_eq!(mailbox.take(), Some(letter));
    }
    assert_eq!(mailbox.take(), None);
    assert!(!is_woken(&mut poll));
    post.post(5).unwrap();
    assert!(is_woken(&mut poll), "an emptied box announces again");
}

#[test]
fn a_full_box_and_an_ownerless_one_give_the_letter_back() {
    let (_poll, waker) = poll();
    let (post, mut mailbox) = mailbox(waker, 2);
    let letter = |text: &str| text.to_owned();
    post.post(letter("one")).unwrap();
    post.post(letter("two")).unwrap();
    assert_eq!(post.post(letter("three")), Err(Full(letter("three"))));
    assert_eq!(mailbox.take().as_deref(), Some("one"));
    post.post(letter("three")).unwrap();
    drop(mailbox);
    assert_eq!(post.post(letter("four")), Err(Full(letter("four"))));
}

#[test]
fn four_threads_lose_nothing_and_the_worker_may_always_sleep() {
    const SENDERS: usize = 4;
    const LETTERS: usize = 20_000;
    let (mut poll, waker) = poll();
    let (post, mut mailbox) = mailbox(waker, 64);
    let send_all = |sender: usize| {
        let post = post.clone();
        move || {
            for number in 0..LETTERS {
                let mut letter = (sender, number);
                while let Err(Full(back)) = post.post(letter) {
                    letter = back;
                    thread::yield_now();
                }
            }
        }
    };
    let threads: Vec<_> = (0..SENDERS)
        .map(|sender| thread::spawn(send_all(sender)))
        .collect();

    let (mut next, mut events) = ([0; SENDERS], Events::with_capacity(4));
    while next.iter().sum::<usize>() < SENDERS * LETTERS {
        // The timeout only turns a lost letter into a failure instead of a hang.
        poll.poll(&mut events, Some(Duration::from_secs(60)))
            .unwrap();
        assert!(
            !events.is_empty(),
            "asleep with letters in the box: {next:?}"
        );
        while let Some((sender, number)) = mailbox.take() {
            assert_eq!(
                number, next[sender],
                "letters of one sender keep their order"
            );
            next[sender] += 1;
        }
    }
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(next, [LETTERS; SENDERS]);
}

#[test]
fn a_letter_posted_between_any_two_steps_is_taken_or_announced() {
    for was_announced in [false, true] {
        for moment in 0..4 {
            let (mut poll, waker) = poll();
            let (post, mut mailbox) = mailbox(waker, 4);
            if was_announced {
                post.post("before").unwrap();
                assert!(is_woken(&mut poll) && mailbox.take() == Some("before"));
            }
            let mut moments = 0;
            let taken = mailbox.take_between(|| {
                if moments == moment {
                    post.post("late").unwrap();
                }
                moments += 1;
            });
            // With the flag down there is one moment, with the flag up there are three.
            if moment < moments {
                assert!(
                    taken == Some("late") || is_woken(&mut poll),
                    "{was_announced} {moment}"
                );
            }
        }
    }
}

/// The protocol as a state machine: every thread does one step at a time, in every possible order.
///
/// It models the sequence of steps, not the memory orderings; those are argued in the module text.
#[derive(Clone, PartialEq, Eq, Hash)]
struct World {
    /// Per sender: letters still to send, and the step it is at.
    senders: [(u8, Send); 2],
    receiver: Receive,
    queued: u8,
    announced: bool,
    woken: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Send {
    Put,
    Announce,
    Wake,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Receive {
    Take,
    LookAtFlag,
    ClearFlag,
    TakeAgain,
    Sleep,
}

/// The way the receiver empties its box: as above, or with its two halves in the wrong order.
#[derive(Clone, Copy, PartialEq)]
enum Order {
    ClearThenLook,
    LookThenClear,
}

impl World {
    fn new() -> Self {
        let senders = [(2, Send::Put); 2];
        Self {
            senders,
            receiver: Receive::Take,
            queued: 0,
            announced: false,
            woken: false,
        }
    }

    /// The worlds one step of one thread away.
    fn successors(&self, order: Order) -> Vec<Self> {
        let mut all: Vec<_> = (0..2)
            .filter_map(|sender| self.step_sender(sender))
            .collect();
        all.extend(self.step_receiver(order));
        all
    }

    fn step_sender(&self, sender: usize) -> Option<Self> {
        let mut world = self.clone();
        let (left, step) = &mut world.senders[sender];
        match step {
            Send::Put if *left == 0 => return None,
            Send::Put => {
                *left -= 1;
                world.queued += 1;
                *step = Send::Announce;
            }
            Send::Announce => {
                *step = if std::mem::replace(&mut world.announced, true) {
                    Send::Put
                } else {
                    Send::Wake
                };
            }
            Send::Wake => {
                world.woken = true;
                *step = Send::Put;
            }
        }
        Some(world)
    }

    fn step_receiver(&self, order: Order) -> Option<Self> {
        let mut world = self.clone();
        world.receiver = match (self.receiver, order) {
            (Receive::Take | Receive::TakeAgain, _) if self.queued > 0 => {
                world.queued -= 1;
                Receive::Take
            }
            (Receive::Take, _) => Receive::LookAtFlag,
            (Receive::LookAtFlag, _) if !self.announced => Receive::Sleep,
            (Receive::LookAtFlag, Order::ClearThenLook) => Receive::ClearFlag,
            (Receive::LookAtFlag, Order::LookThenClear) => Receive::TakeAgain,
            (Receive::ClearFlag, _) => {
                world.announced = false;
                if order == Order::ClearThenLook {
                    Receive::TakeAgain
                } else {
                    Receive::Sleep
                }
            }
            (Receive::TakeAgain, Order::ClearThenLook) => Receive::Sleep,
            (Receive::TakeAgain, Order::LookThenClear) => Receive::ClearFlag,
            (Receive::Sleep, _) if !self.woken => return None,
            (Receive::Sleep, _) => {
                world.woken = false;
                Receive::Take
            }
        };
        Some(world)
    }
}

/// Walks every reachable world; the first in which all threads rest and a letter does too.
fn left_behind(order: Order) -> Option<World> {
    let (mut seen, mut open) = (HashSet::from([World::new()]), vec![World::new()]);
    while let Some(world) = open.pop() {
        let successors = world.successors(order);
        if successors.is_empty() && world.queued > 0 {
            return Some(world);
        }
        open.extend(
            successors
                .into_iter()
                .filter(|next| seen.insert(next.clone())),
        );
    }
    assert!(
        seen.len() > 500,
        "the walk was not one: {} worlds",
        seen.len()
    );
    None
}

#[test]
fn no_order_of_steps_leaves_a_letter_behind() {
    assert!(left_behind(Order::ClearThenLook).is_none());
}

#[test]
fn the_model_finds_the_letter_that_the_wrong_order_loses() {
    assert!(left_behind(Order::LookThenClear).is_some());
}
