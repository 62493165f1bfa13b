# What an application's backend does, with PyPI `cent`. The world it finds is tests/it/admin/fake.rs.
import sys

from cent import (
    BatchRequest, BroadcastRequest, CentApiResponseError, CentUnauthorizedError, ChannelsRequest, Client,
    ConnectionsRequest, Disconnect, DisconnectRequest, HistoryRemoveRequest, HistoryRequest, InfoRequest,
    PresenceRequest, PresenceStatsRequest, PublishRequest, RefreshRequest, StreamPosition,
    SubscribeRequest, UnsubscribeRequest,
)

url, key = sys.argv[1:]
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
EPOCH = "0000beef"
first = client.publish(PublishRequest(channel="chat:room", data={"text": "hällo"}))
equal((first.offset, first.epoch), (1, EPOCH))
second = client.publish(PublishRequest(channel="chat:room", data=[1, 2.5], tags={"lang": "en"}))
equal(second.offset, 2)
bare = client.publish(PublishRequest(channel="bare:room", data="x"))
equal((bare.offset, bare.epoch), (0, ""))
again = [client.publish(PublishRequest(channel="once", data=1, idempotency_key="k")) for _ in range(3)]
equal([each.offset for each in again], [1, 1, 1])

page = client.history(HistoryRequest(channel="chat:room", limit=10))
equal((page.offset, page.epoch), (2, EPOCH))
equal([each.data for each in page.publications], [{"text": "hällo"}, [1, 2.5]])
equal(page.publications[1].tags, {"lang": "en"})
equal(client.history(HistoryRequest(channel="chat:room")).publications, [])
since = StreamPosition(offset=1, epoch=EPOCH)
page = client.history(HistoryRequest(channel="chat:room", limit=10, since=since))
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
told = client.broadcast(BroadcastRequest(channels=["a", "none:x", "b"], data={"n": 1}))
equal([each.error.code if each.error else each.result.offset for each in told.responses], [1, 102, 1])
batch = client.batch(BatchRequest(requests=[
    PublishRequest(channel="a", data=2), HistoryRequest(channel="a", limit=5), InfoRequest(),
]))
equal(batch.replies[0].offset, 2)
equal([each.data for each in batch.replies[1].publications], [{"n": 1}, 2])
equal(batch.replies[2].nodes[0].num_clients, 3)

# People.
client.subscribe(SubscribeRequest(user="alice", channel="chat:room"))
client.subscribe(SubscribeRequest(user="bob", channel="chat:room", info={"seat": 4}))
present = client.presence(PresenceRequest(channel="chat:room")).presence
equal(sorted(each.user for each in present.values()), ["alice", "alice", "bob"])
bob = next(each for each in present.values() if each.user == "bob")
equal((bob.conn_info, present[bob.client]), ({"vip": True}, bob))
stats = client.presence_stats(PresenceStatsRequest(channel="chat:room"))
equal((stats.num_clients, stats.num_users), (3, 2))
equal(client.channels(ChannelsRequest(pattern="chat:*")).channels["chat:room"].num_clients, 3)
equal(list(client.channels(ChannelsRequest(pattern="?")).channels), ["a", "b"])
client.unsubscribe(UnsubscribeRequest(user="alice", channel="chat:room", client=f"{0xa1:032x}"))
equal(client.presence_stats(PresenceStatsRequest(channel="chat:room")).num_clients, 2)
connections = client.connections(ConnectionsRequest(user="bob", expression="")).connections
equal([(name, each.user, each.transport) for name, each in connections.items()],
      [(bob.client, "bob", "websocket")])
client.refresh(RefreshRequest(user="bob", expire_at=1_900_000_000))
client.disconnect(DisconnectRequest(
    user="alice", whitelist=[f"{0xa1:032x}"], disconnect=Disconnect(code=4500, reason="bye")))
node = client.info(InfoRequest()).nodes[0]
equal((node.num_clients, node.process.rss, node.uptime), (2, 1 << 20, 5))

# What goes wrong, in the numbers the SDK knows.
equal(code_of(PublishRequest(channel="none:x", data=1)), 102)
equal(code_of(PublishRequest(channel="", data=1)), 107)
equal(code_of(ChannelsRequest(pattern="[ab]")), 107)
try:
    Client(url, "not the key").info(InfoRequest())
except CentUnauthorizedError:
    print("all of it")
