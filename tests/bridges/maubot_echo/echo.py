"""A plugin of maubot that says again what others say, made for the tests."""

from maubot import MessageEvent, Plugin
from maubot.handlers import event
from mautrix.types import EventType


class Echo(Plugin):
    async def start(self) -> None:
        # The server goes down in the test: requests are made again, with the same transaction id.
        self.client.api.default_retry_count = 10

    @event.on(EventType.ROOM_MESSAGE)
    async def heard(self, message: MessageEvent) -> None:
        if message.sender != self.client.mxid:
            await message.respond(f"echo: {message.content.body}")
