"""Somebody on Matrix whose client encrypts: matrix-nio, run by a thread of its own."""

import asyncio
import threading

import nio
import world


FILTER = {"room": {"timeline": {"limit": 1000}}}


class EncryptedUser:
    """Keeps all messages seen, decrypted."""

    def __init__(self, conduit, name, folder):
        self.plain = world.MatrixUser(conduit, name)  # makes the account
        self.user_id = self.plain.user_id
        self.messages, self.undecrypted = [], []
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        store = folder / f"store-{name}"
        store.mkdir()
        self.call(self.start(conduit.url, store))

    async def start(self, url, store):
        config = nio.AsyncClientConfig(encryption_enabled=True, store_sync_tokens=False)
        self.client = nio.AsyncClient(url, self.user_id, store_path=str(store), config=config)
        logged_in = await self.client.login(world.PASSWORD, device_name="nio")
        assert isinstance(logged_in, nio.LoginResponse), logged_in
        self.client.add_event_callback(lambda _, event: self.messages.append(event), nio.RoomMessageText)
        self.client.add_event_callback(lambda _, event: self.messages.append(event), nio.RoomMessageNotice)
        self.client.add_event_callback(lambda _, event: self.undecrypted.append(event), nio.MegolmEvent)
        self.syncing = asyncio.ensure_future(self.client.sync_forever(timeout=1000, full_state=True, sync_filter=FILTER))
        # The device's keys are there before anybody encrypts for it.
        await self.client.synced.wait()

    def call(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(world.LIMIT_SECONDS)

    def wait_for(self, what, condition):
        def look():
            assert not self.syncing.done(), self.syncing
            return condition()

        return world.wait_for(f"{self.user_id}: {what}", look, lambda: [event.body for event in self.messages[-5:]])

    def create_encrypted_room(self, invite):
        initial_state = [nio.EnableEncryptionBuilder().as_dict()]
        room = self.call(self.client.room_create(initial_state=initial_state, invite=invite)).room_id
        self.wait_for("the room", lambda: room in self.client.rooms and self.client.rooms[room].encrypted)
        return room

    def wait_member(self, room, user):
        def is_in():
            members = self.client.rooms[room]
            return user in members.users and user not in members.invited_users

        self.wait_for(f"{user} is in", is_in)

    def say(self, room, text):
        content = {"msgtype": "m.text", "body": text}
        sent = self.call(self.client.room_send(room, "m.room.message", content, ignore_unverified_devices=True))
        assert isinstance(sent, nio.RoomSendResponse), sent

    def said(self, sender):
        """What somebody said that was encrypted and could be read."""
        assert not self.undecrypted, self.undecrypted
        return [event.body for event in self.messages if event.sender == sender and event.decrypted]

    def stop(self):
        async def stop():
            self.syncing.cancel()
            await self.client.close()

        self.call(stop())
