//! The compact record layer and rustls on the same random traffic: what they hear, what they answer,
//! and whether they go on.

use super::*;

/// What a client does next.
#[derive(Clone, Debug)]
enum Act {
    /// Says so many bytes, in as many records as that takes.
    Say(usize),
    /// One record, with padding behind what it says.
    Pad(usize, usize),
    /// New keys with the next record.
    Refresh,
    /// As many records that say nothing.
    Nothing(usize),
    /// Says something of which a byte is damaged on the way.
    Damaged(usize),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => (0..40_000_usize).prop_map(Act::Say),
        4 => (0..3_000_usize, 0..3_000_usize).prop_map(|(said, pad)| Act::Pad(said, pad)),
        4 => Just(Act::Refresh),
        2 => (0..40_usize).prop_map(Act::Nothing),
        1 => (1..500_usize).prop_map(Act::Damaged),
    ]
}

/// A server of that mode hears it, in pieces of that size.
fn hears(mode: Mode, acts: &[Act], piece_bytes: usize) -> (Vec<u8>, Option<u8>, bool) {
    let mut pipe = Pipe::new(&server(choices(mode, false)), &client(compact()));
    pipe.carry();
    pipe.piece_bytes = piece_bytes;
    for (number, act) in acts.iter().enumerate() {
        perform(&mut pipe, act, number as u8);
        pipe.carry();
        if pipe.client.ending != Ending::Open {
            break;
        }
    }
    let alert = match pipe.client.ending {
        Ending::Broken(Trouble::Record(Fault::PeerAlert(alert))) => Some(alert),
        Ending::Open => None,
        other => panic!("{other:?}"),
    };
    let goes_on = pipe.server.ending == Ending::Open;
    (pipe.server.heard, alert, goes_on)
}

fn perform(pipe: &mut Pipe, act: &Act, fill: u8) {
    let client = &mut pipe.client;
    let id = client.id.unwrap();
    match *act {
        Act::Say(length) => assert!(client.say(&[&vec![fill; length]])),
        Act::Pad(said, pad) => {
            let inner = [vec![fill; said], vec![23], vec![0; pad]].concat();
            seal(client, &inner);
        }
        Act::Refresh => client.sessions.refresh(id),
        Act::Nothing(records) => (0..records).for_each(|_| seal(client, &[23])),
        Act::Damaged(length) => {
            assert!(client.say(&[&vec![fill; length]]));
            *client.out.last_mut().unwrap() ^= 1;
        }
    }
}

/// A record with this inside, as no honest client need send it.
fn seal(client: &mut Endpoint, inner: &[u8]) {
    let mut out = vec![0; inner.len() + OVERHEAD];
    let (store, key) = client.sessions.keys_of(client.id.unwrap()).unwrap();
    let length = store.seal_inner(key, inner, &mut out);
    client.out.extend_from_slice(&out[..length]);
}

/// Whether only one of the two may have enough of records that bring nothing: we count key updates among
/// them, which rustls counts apart; and an empty message need not be a record.
fn is_counted_differently(acts: &[Act]) -> bool {
    let (mut ours, mut theirs) = (0, 0);
    for act in acts {
        match *act {
            Act::Refresh | Act::Say(0) => ours += 1,
            Act::Nothing(records) => (ours, theirs) = (ours + records, theirs + records),
            Act::Pad(0, _) => (ours, theirs) = (ours + 1, theirs + 1),
            _ => (ours, theirs) = (0, 0),
        }
        match (ours > NOTHING_MAX, theirs > NOTHING_MAX) {
            (true, true) => return false,
            (false, false) => {}
            _ => return true,
        }
    }
    false
}

/// Records that bring nothing, one after the other, that both let through.
const NOTHING_MAX: usize = 32;

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn compact_and_rustls_hear_the_same_and_say_the_same(
        acts in prop::collection::vec(act(), 1..12),
        piece_bytes in prop_oneof![Just(1_usize << 16), 1..2_000_usize],
    ) {
        prop_assume!(!is_counted_differently(&acts));
        let ours = hears(Mode::Compact, &acts, piece_bytes);
        let theirs = hears(Mode::Rustls, &acts, piece_bytes);
        prop_assert_eq!(ours.0.len(), theirs.0.len());
        prop_assert!(ours.0 == theirs.0 && ours.2 == theirs.2, "{} {}", ours.2, theirs.2);
        // For a storm of empty records rustls leaves without a word, and we say unexpected_message.
        let expected = theirs.1.or((!theirs.2).then_some(10));
        prop_assert_eq!(ours.1, expected);
    }
}
