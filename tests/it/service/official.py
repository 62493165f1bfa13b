"""The official client of PyPI, as its users have it.

    python official.py URL
"""

import asyncio
import sys

from centrifuge import CentrifugeError, Client, ClientEventHandler, SubscriptionEventHandler

PATIENCE_S = 60


class Ear(ClientEventHandler, SubscriptionEventHandler):
    """Keeps what it is told; whoever waits gets it in order."""

    def __init__(self):
        self.told = {}

    def of(self, name):
        return self.told.setdefault(name, asyncio.Queue())

    async def next(self, name):
        return await asyncio.wait_for(self.of(name).get(), PATIENCE_S)

    async def on_connected(self, ctx):
        await self.of("connected").put(ctx)

    async def on_disconnected(self, ctx):
        await self.of("disconnected").put(ctx)

    async def on_subscribed(self, ctx):
        await self.of("subscribed").put(ctx)

    async def on_unsubscribed(self, ctx):
        await self.of("unsubscribed").put(ctx)

    async def on_publication(self, ctx):
        await self.of("publication").put(ctx.pub)

    async def on_join(self, ctx):
        await self.of("join").put(ctx.info)


def same(what, actual, expected):
    assert actual == expected, f"{what}: {actual!r}, not {expected!r}"


async def refused(awaitable):
    try:
        await awaitable
    except CentrifugeError as error:
        return error.code
    return None


async def main(url):
    alice, bob, hers, his = Ear(), Ear(), Ear(), Ear()
    first = Client(url, events=alice, proxy=None)
    second = Client(url, events=bob, proxy=None)
    await first.connect()
    await second.connect()
    connected = await alice.next("connected")
    await bob.next("connected")

    options = {"positioned": True, "recoverable": True, "join_leave": True}
    one = first.new_subscription("chat:python", events=hers, **options)
    await one.subscribe()
    same("positions are kept", (await hers.next("subscribed")).recoverable, True)
    two = second.new_subscription("chat:python", events=his, **options)
    await two.subscribe()
    await his.next("subscribed")
    while (await hers.next("join")).client == connected.client:
        pass

    await one.publish({"text": "hello"})
    heard = await his.next("publication")
    same("what was said", (heard.data, heard.offset), ({"text": "hello"}, 1))
    same("who said it", heard.info.client, connected.client)
    page = await two.history(limit=10)
    same("history", [each.data for each in page.publications], [{"text": "hello"}])
    same("presence", len((await two.presence()).clients), 2)
    same("presence stats", (await two.presence_stats()).num_clients, 2)
    same("rpc", await refused(first.rpc("anything", {})), 108)

    # Out and in again: what was said meanwhile comes behind the subscription.
    await two.unsubscribe()
    await his.next("unsubscribed")
    await one.publish({"text": "nobody hears it"})
    await two.subscribe()
    back = await his.next("subscribed")
    same("recovered", (back.was_recovering, back.recovered), (True, True))
    same("caught up", (await his.next("publication")).data, {"text": "nobody hears it"})

    # Fifty, one after the other.
    for number in range(50):
        await one.publish(number)
        same("in order", (await his.next("publication")).data, number)

    await first.disconnect()
    await second.disconnect()
    await alice.next("disconnected")
    print("all of it")


asyncio.run(main(sys.argv[1]))
