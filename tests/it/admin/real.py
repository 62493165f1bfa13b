# What an application's backend does with channels that are really there, with PyPI `cent`. Beside it,
# tests/it/admin/real.rs has connected alice twice, bob once, and somebody without a name.
import base64
import sys

from cent import (
    BatchRequest, BroadcastRequest, CentApiResponseError, CentUnauthorizedError, ChannelsRequest, Client,
    ConnectionsRequest, Disconnect, DisconnectRequest, HistoryRemoveRequest, HistoryRequest, InfoRequest, PresenceRequest,
    PresenceStatsRequest, PublishRequest, RefreshRequest, StreamPosition, SubscribeRequest, UnsubscribeRequest,
)

url, key, expire_at = sys.argv[1:]
client = Client(url, key)


METHODS = {HistoryRequest: client.history, PublishRequest: client.publish, ChannelsRequest: client.channels}


def code_of(request):
    try:
        METHODS[type(request)](request)
    except CentApiResponseError as error:
        return error.code
    raise AssertionError(f"{request} was answered")


def equal(found, expected):
    assert found == expected, f"{found!r} is not {expected!r}"


# Publications and their history.
first = client.publish(PublishRequest(channel="chat:room", data={"text": "hällo"}))
equal(first.offset, 1)
second = client.publish(PublishRequest(channel="chat:room", data=[1, 2.5], tags={"lang": "en"}))
equal((second.offset, second.epoch), (2, first.epoch))
fleeting = client.publish(PublishRequest(channel="chat:room", data=0, skip_history=True))
equal((fleeting.offset, fleeting.epoch), (0, ""))
bare = client.publish(PublishRequest(channel="bare:room", data="x"))
equal((bare.offset, bare.epoch), (0, ""))
again = [client.publish(PublishRequest(channel="chat:once", data=1, idempotency_key="k")) for _ in range(3)]
equal([each.offset for each in again], [1, 1, 1])
page = client.history(HistoryRequest(channel="chat:room", limit=10))
equal((page.offset, page.epoch), (2, first.epoch))
equal([each.data for each in page.publications], [{"text": "hällo"}, [1, 2.5]])
equal(page.publications[1].tags, {"lang": "en"})
equal(client.history(HistoryRequest(channel="chat:room")).publications, [])
page = client.history(HistoryRequest(channel="chat:room", limit=10, since=StreamPosition(offset=1, epoch=first.epoch)))
equal([each.offset for each in page.publications], [2])
page = client.history(HistoryRequest(channel="chat:room", limit=1, reverse=True))
equal([each.offset for each in page.publications], [2])
lost = StreamPosition(offset=1, epoch="00000bad")
equal(code_of(HistoryRequest(channel="chat:room", limit=1, since=lost)), 112)
equal(code_of(HistoryRequest(channel="bare:room", limit=1)), 108)
client.history_remove(HistoryRemoveRequest(channel="chat:room"))
page = client.history(HistoryRequest(channel="chat:room", limit=10))
equal((page.publications, page.offset), ([], 2))

# Many at once.
told = client.broadcast(BroadcastRequest(channels=["chat:a", "none:x", "chat:b"], data={"n": 1}))
equal([each.error.code if each.error else each.result.offset for each in told.responses], [1, 102, 1])
batch = client.batch(BatchRequest(requests=[
    PublishRequest(channel="chat:a", data=2), HistoryRequest(channel="chat:a", limit=5), InfoRequest(),
]))
equal(batch.replies[0].offset, 2)
equal([each.data for each in batch.replies[1].publications], [{"n": 1}, 2])

# People. An order is done when its answer comes; its echo in a channel's home may take a moment.
def until(found, expected):
    for _ in range(10_000):
        value = found()
        if value == expected:
            return
    equal(value, expected)


def stats():
    found = client.presence_stats(PresenceStatsRequest(channel="chat:room"))
    return found.num_clients, found.num_users


client.subscribe(SubscribeRequest(user="alice", channel="chat:room"))
client.subscribe(SubscribeRequest(user="bob", channel="chat:room", info={"seat": 4}))
greeting = base64.b64encode(b'["from", "cent"]').decode()
client.subscribe(SubscribeRequest(user="bob", channel="chat:greeted", b64data=greeting, b64info="Nw=="))
until(lambda: [each.chan_info for each in client.presence(PresenceRequest(channel="chat:greeted")).presence.values()], [7])
until(stats, (3, 2))
present = client.presence(PresenceRequest(channel="chat:room")).presence
equal(sorted(each.user for each in present.values()), ["alice", "alice", "bob"])
bob = next(each for each in present.values() if each.user == "bob")
equal((bob.conn_info, bob.chan_info), ({"vip": True}, {"seat": 4}))
equal(client.channels(ChannelsRequest(pattern="chat:*")).channels["chat:room"].num_clients, 3)
equal(list(client.channels(ChannelsRequest(pattern="none:*")).channels), [])
everybody = client.connections(ConnectionsRequest(user="", expression="")).connections
equal(len(everybody), 4)
found = client.connections(ConnectionsRequest(user="bob", expression="")).connections
equal([(name, each.user, each.transport, each.protocol) for name, each in found.items()],
      [(bob.client, "bob", "websocket", "json")])
alices = client.connections(ConnectionsRequest(user="alice", expression="")).connections
equal(len(alices), 2)
client.unsubscribe(UnsubscribeRequest(user="alice", channel="chat:room", client=sorted(alices)[0]))
until(stats, (2, 2))
client.refresh(RefreshRequest(user="bob", expire_at=int(expire_at)))
client.disconnect(DisconnectRequest(
    user="alice", whitelist=[sorted(alices)[1]], disconnect=Disconnect(code=4500, reason="bye")))
until(lambda: list(client.connections(ConnectionsRequest(user="alice", expression="")).connections),
      [sorted(alices)[1]])
client.disconnect(DisconnectRequest(user="bob"))
until(stats, (1, 1))
until(lambda: client.info(InfoRequest()).nodes[0].num_clients, 2)

# What goes wrong, in the numbers the SDK knows.
equal(code_of(PublishRequest(channel="none:x", data=1)), 102)
equal(code_of(PublishRequest(channel="", data=1)), 107)
equal(code_of(ChannelsRequest(pattern="[ab]")), 107)
try:
    Client(url, "not the key").info(InfoRequest())
except CentUnauthorizedError:
    print("all of it")
