"""How many requests the reference engine takes at a time where nobody says: evaluation and offline tuning."""

MOST_SLOTS = 32
MOST_COLUMNS = 32_768  # tokens of all slots together: 4.3 GB for an 8B target, beside its 16


def num_slots(num_requests: int, context_length: int) -> int:
    """Slots of an engine for so many requests, each with room for `context_length` tokens. At least one, however long;
    answers do not depend on it."""
    return max(min(MOST_SLOTS, num_requests, MOST_COLUMNS // context_length), 1)
