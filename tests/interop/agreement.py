"""Whether servers agree on a room: the same state, event by event, and the same history with the same contents."""

from processes import wait_for


def state_of(user, room):
    """The id of each piece of the current state, as the user's server tells it."""
    return {key: event["event_id"] for key, event in user.state(room).items()}


def differences(ours, theirs):
    """Where two states differ."""
    keys = sorted(set(ours) | set(theirs))
    return [(key, ours.get(key), theirs.get(key)) for key in keys if ours.get(key) != theirs.get(key)]


def wait_for_same_state(room, users, limit=None):
    """Waits until the servers of all these users, who are in the room, tell the same state; that state."""
    first, *others = users
    last = {}

    def same():
        state = state_of(first, room)
        last["by"] = {user.server.kind: differences(state, state_of(user, room)) for user in others}
        last["by"] = {kind: found for kind, found in last["by"].items() if found}
        return not last["by"] and state

    more = {"limit": limit} if limit else {}
    return wait_for(f"one state of {room} on all servers", same, lambda: str(last["by"])[:2000], every=0.3, **more)


def fingerprint(event):
    """What must be the same of an event everywhere: what it says, after redaction."""
    return event["type"], event["sender"], event.get("state_key"), repr(sorted(event["content"].items()))


def shown(events, kinds=("m.room.message", "m.room.encrypted", "m.reaction", "m.room.redaction")):
    """The events of some kinds, by id, as fingerprints."""
    return {key: fingerprint(event) for key, event in events.items() if event["type"] in kinds}


def wait_for_same_history(room, users, wanted=()):
    """Waits until the servers of all these users show the same messages, among them those wanted; how many."""
    last = {}

    def same():
        first, *others = [(user, shown(user.history(room))) for user in users]
        missing = {user.server.kind: sorted(set(wanted) - set(events)) for user, events in [first, *others]}
        last["missing"] = {kind: ids for kind, ids in missing.items() if ids}
        last["other"] = {
            user.server.kind: [
                (key, first[1].get(key), events.get(key))
                for key in sorted(set(first[1]) | set(events))
                if first[1].get(key) != events.get(key)
            ][:5]
            for user, events in others
        }
        last["other"] = {kind: found for kind, found in last["other"].items() if found}
        return not last["missing"] and not last["other"] and (True, len(first[1]))

    return wait_for(f"one history of {room} on all servers", same, lambda: str(last)[:3000], every=0.5)[1]
