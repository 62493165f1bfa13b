//! A worker that hangs, and what the supervisor hears of it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;
use crate::http1::Head;
use crate::metrics::Board;
use crate::reactor::{Answer, App, CrewConfig, Outbox, Peer, WorkerConfig};
use crate::sys::{Address, Endpoint, ListenOptions};
use crate::ws::message::Message;

/// Hangs at the first request until it is released.
struct Sleeper {
    asleep: Sender<usize>,
    wake: Arc<Mutex<Receiver<()>>>,
    number: usize,
}

impl App for Sleeper {
    type Conn = ();
    type Letter = ();

    fn on_request(&mut self, _: &Head<'_>, _: &Peer<'_>) -> Answer<()> {
        self.asleep.send(self.number).unwrap();
        let _ = self.wake.lock().unwrap().recv();
        Answer::Respond {
            status: 200,
            content_type: "text/plain",
            body: "good morning\n".into(),
        }
    }

    fn on_message(&mut self, (): &mut (), _: Message<'_>, _: &mut Outbox<'_, Self>) {}
}

#[test]
fn one_worker_that_hangs_starves_the_watchdog_until_it_goes_on() {
    let name = std::env::temp_dir().join(format!("throng-watch-{}", std::process::id()));
    let _ = std::fs::remove_file(&name);
    let socket = UnixDatagram::bind(&name).unwrap();
    socket.set_nonblocking(true).unwrap();
    // A limit so short that whoever turns is fed for at once.
    let supervisor = Supervisor {
        notifier: Notifier::to(name.as_os_str()).unwrap(),
        watchdog: Some(Duration::from_millis(3)),
    };
    let (asleep, sleeping) = channel();
    let (wake, waking) = channel();
    let waking = Arc::new(Mutex::new(waking));
    let localhost: Address = "127.0.0.1:0".parse().unwrap();
    let endpoint = Endpoint::claim(&localhost, ListenOptions::default()).unwrap();
    let (house, board) = (House::new(100), Board::new(2));
    let config = CrewConfig {
        workers: 2,
        cores: Vec::new(),
        worker: WorkerConfig {
            connections_expected: 100,
            house: house.clone(),
            board: board.clone(),
            ..WorkerConfig::default()
        },
        ..CrewConfig::new(vec![endpoint])
    };
    let crew = Crew::start(config, move |number| Sleeper {
        asleep: asleep.clone(),
        wake: waking.clone(),
        number,
    });
    let crew = crew.unwrap();
    let Address::Tcp(address) = crew.endpoints()[0].address().clone() else {
        panic!("a TCP address was asked for");
    };
    let stats = Arc::new(Stats::new(board.clone(), house.clone()));
    let config = Config::default();
    let reread = || Err(String::new());
    let mut watch = Watch::new(
        crew,
        (stats, house),
        &config,
        (&reread, Box::new(|_| Ok(()))),
        supervisor,
    );
    let mut is_fed = || {
        watch.tell_supervisor();
        let mut fed = false;
        let mut room = [0; 256];
        while let Ok(length) = socket.recv(&mut room) {
            fed |= room[..length].starts_with(b"WATCHDOG=1");
        }
        fed
    };
    // Two workers turn once a second: the first feeding follows within two.
    until("both are well", &mut is_fed);
    until("again", &mut is_fed);

    let mut client = TcpStream::connect(address).unwrap();
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let hanging = sleeping.recv_timeout(PATIENCE).unwrap();
    let beats = || board.heartbeats().collect::<Vec<_>>();
    let (mut other, mut turns, mut fed) = (beats()[1 - hanging], 0, 0);
    until("the other one has turned four times", || {
        let now = beats();
        turns += u32::from(now[1 - hanging] != other);
        other = now[1 - hanging];
        fed += u32::from(is_fed());
        turns == 4
    });
    // What it beat before it fell asleep may count once.
    assert!(fed <= 1, "fed {fed} times while worker {hanging} hangs");
    wake.send(()).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("good morning\n"), "{answer}");
    until("both are well again", &mut is_fed);
    watch.crew.stop();
    assert!(watch.crew.join().1);
    let _ = std::fs::remove_file(name);
}

const PATIENCE: Duration = Duration::from_secs(30);

/// Tries until it holds; the bound only ends a test that would hang.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began_ms = clock::monotonic_ms();
    while !holds() {
        let waited_ms = clock::monotonic_ms() - began_ms;
        assert!(waited_ms < PATIENCE.as_millis() as u64, "never: {what}");
        std::thread::yield_now();
    }
}
