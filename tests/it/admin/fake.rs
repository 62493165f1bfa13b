//! Channels in a map: what the API is tested against without a server around it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use throng::admin::{
    Backend, Connected, Exposition, Failure, Host, Reply, Request, Totals, Vitals, Whom,
};
use throng::hub::{
    ClientId, ClientInfo, Epoch, HistoryPage, Position, Presence, PresenceStats, Publication,
    Refusal,
};

/// The epoch of all its channels.
pub(crate) const EPOCH: Epoch = Epoch::new(0xbeef);

/// A small world: alice is connected twice, bob once. Channels in the namespace `bare` keep no history,
/// and `none` is no namespace.
#[derive(Debug)]
pub(crate) struct Fake {
    people: Vec<Arc<ClientInfo>>,
    world: Mutex<World>,
}

#[derive(Debug, Default)]
struct World {
    channels: BTreeMap<Box<str>, Channel>,
    gone: BTreeSet<ClientId>,
    refreshed: Vec<(Box<str>, Option<u64>)>,
}

#[derive(Debug, Default)]
struct Channel {
    publications: Vec<Arc<Publication>>,
    offset: u64,
    subscribers: BTreeSet<ClientId>,
}

impl Fake {
    pub(crate) fn new() -> Arc<Self> {
        let people = [("alice", 0xa1), ("alice", 0xa2), ("bob", 0xb1)];
        let person = |(user, client): (&str, u128)| {
            Arc::new(ClientInfo {
                user: user.into(),
                client: ClientId(client),
                conn_info: (user == "bob").then(|| "{\"vip\":true}".into()),
                chan_info: None,
            })
        };
        Arc::new(Self {
            people: people.into_iter().map(person).collect(),
            world: Mutex::default(),
        })
    }

    /// Calls of `refresh`, for looking at.
    pub(crate) fn refreshed(&self) -> Vec<(Box<str>, Option<u64>)> {
        self.world.lock().unwrap().refreshed.clone()
    }
}

impl World {
    fn of<'p>(&self, people: &'p [Arc<ClientInfo>], whom: &Whom) -> Vec<&'p Arc<ClientInfo>> {
        let is_meant = |who: &&Arc<ClientInfo>| {
            who.user == whom.user
                && whom.client.is_none_or(|client| client == who.client)
                && !self.gone.contains(&who.client)
        };
        people.iter().filter(is_meant).collect()
    }

    fn presence(&self, people: &[Arc<ClientInfo>], channel: &str) -> Vec<Arc<ClientInfo>> {
        let channel = self.channels.get(channel);
        let is_in = |who: &&Arc<ClientInfo>| {
            channel.is_some_and(|channel| channel.subscribers.contains(&who.client))
        };
        people.iter().filter(is_in).cloned().collect()
    }
}

impl Backend for Fake {
    #[expect(clippy::too_many_lines, reason = "a table: one short arm per request")]
    fn call(&self, request: Request) -> Result<Reply, Failure> {
        let world = &mut *self.world.lock().unwrap();
        Ok(match request {
            Request::Publish(publish) => {
                match publish.channel.split_once(':') {
                    Some(("none", _)) => return Err(Refusal::UnknownChannel.into()),
                    Some(("bare", _)) => return Ok(Reply::Published(None)),
                    _ => {}
                }
                let channel = world.channels.entry(publish.channel).or_default();
                channel.offset += 1;
                channel.publications.push(Arc::new(Publication {
                    offset: channel.offset,
                    unix_ms: 0,
                    payload: publish.payload,
                    publisher: None,
                    key: publish.key,
                    tags: publish.tags,
                }));
                Reply::Published(Some(Position {
                    offset: channel.offset,
                    epoch: EPOCH,
                }))
            }
            Request::Subscribe(subscribe) => {
                for who in world.of(&self.people, &subscribe.whom) {
                    let channel = world.channels.entry(subscribe.channel.clone()).or_default();
                    channel.subscribers.insert(who.client);
                }
                Reply::Done
            }
            Request::Unsubscribe { whom, channel } => {
                let people = world.of(&self.people, &whom);
                for (name, entry) in &mut world.channels {
                    if channel.as_ref().is_none_or(|channel| channel == name) {
                        let is_gone =
                            |client: &ClientId| people.iter().any(|p| p.client == *client);
                        entry.subscribers.retain(|client| !is_gone(client));
                    }
                }
                Reply::Done
            }
            Request::Disconnect { whom, except, .. } => {
                for who in world.of(&self.people, &whom) {
                    if !except.contains(&who.client) {
                        world.gone.insert(who.client);
                    }
                }
                Reply::Done
            }
            Request::Refresh {
                whom, expire_at_s, ..
            } => {
                world.refreshed.push((whom.user, expire_at_s));
                Reply::Done
            }
            Request::Presence(channel) => Reply::Presence(Presence {
                clients: world.presence(&self.people, &channel),
            }),
            Request::PresenceStats(channel) => {
                let clients = world.presence(&self.people, &channel);
                let users: BTreeSet<_> = clients.iter().map(|who| &who.user).collect();
                Reply::PresenceStats(PresenceStats {
                    clients: clients.len(),
                    users: users.len(),
                })
            }
            Request::History { channel, query } => {
                if channel.starts_with("bare:") {
                    return Err(Refusal::NotAvailable.into());
                }
                let channel = world.channels.entry(channel).or_default();
                let since = query.since.unwrap_or(Position {
                    offset: 0,
                    epoch: EPOCH,
                });
                if since.epoch != EPOCH {
                    return Err(Refusal::BadPosition.into());
                }
                let mut publications = channel.publications.clone();
                publications.retain(|each| each.offset > since.offset);
                if query.reverse {
                    publications.reverse();
                }
                publications.truncate(query.limit.unwrap_or(usize::MAX));
                Reply::History(HistoryPage {
                    publications,
                    position: Position {
                        offset: channel.offset,
                        epoch: EPOCH,
                    },
                })
            }
            Request::HistoryRemove(channel) => {
                if let Some(channel) = world.channels.get_mut(&channel) {
                    channel.publications.clear();
                }
                Reply::Done
            }
            Request::Channels { pattern, count_max } => {
                let fits = |name: &str| pattern.as_ref().is_none_or(|glob| glob.matches(name));
                let channels = world.channels.iter().filter(|(name, _)| fits(name));
                let channels: Vec<_> = channels
                    .map(|(name, channel)| (name.clone(), channel.subscribers.len() as u64))
                    .collect();
                if channels.len() > count_max {
                    return Err(Refusal::LimitExceeded.into());
                }
                Reply::Channels(channels)
            }
            Request::Connections { user, .. } => {
                let is_meant = |who: &&Arc<ClientInfo>| {
                    user.as_ref().is_none_or(|user| *user == who.user)
                        && !world.gone.contains(&who.client)
                };
                let connected = |who: &Arc<ClientInfo>| Connected {
                    client: who.client,
                    user: who.user.clone(),
                    transport: "websocket",
                    protocol: "json",
                    channels: Vec::new(),
                    queued_bytes: 0,
                };
                let people = self.people.iter().filter(is_meant);
                Reply::Connections(people.map(connected).collect())
            }
            Request::Totals => Reply::Totals(Totals {
                clients: (self.people.len() - world.gone.len()) as u64,
                users: 2,
                channels: world.channels.len() as u64,
                subscriptions: 0,
            }),
        })
    }
}

/// A server that is always well.
#[derive(Debug)]
pub(crate) struct Healthy;

impl Host for Healthy {
    fn readiness(&self) -> Result<(), String> {
        Ok(())
    }

    fn liveness(&self) -> Result<(), String> {
        Ok(())
    }

    fn vitals(&self) -> Vitals {
        Vitals {
            uptime_ms: 5_000,
            rss_bytes: Some(1 << 20),
        }
    }

    fn expose(&self, _: &mut Exposition) {}

    fn stats(&self) -> String {
        "{}".to_owned()
    }
}
