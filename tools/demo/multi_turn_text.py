"""Conversations of two to five turns in which later turns refer to earlier ones.

Each function returns a list of (user, assistant) turns.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from tools.demo import chat_text, code_text
from tools.demo.words import article, capital, joined, numbered, pick, picks, topic

Turns = list[tuple[str, str]]


def about_item(rng: random.Random) -> Turns:
    """Questions about one item that is named only at the start."""
    item, kind = topic(rng)
    other, other_kind = topic(rng)
    opening = chat_text.with_background(rng, f"What is {article(item)}?")
    follow_ups = [
        (
            rng.choice(["What are its main parts?", "Which parts does it have?"]),
            f"The main parts of {article(item)} are:\n\n" + numbered([capital(part) for part in kind.parts]),
        ),
        (
            rng.choice(["How do I look after it?", "Any tips for taking care of it?"]),
            f"To look after {article(item)}:\n\n" + numbered([capital(care) + "." for care in kind.care]),
        ),
        (
            rng.choice(["What could go wrong?", "What is the main risk with it?"]),
            f"The main risk with {article(item)} is that {kind.risk}. To avoid this, {kind.care[0]}.",
        ),
        (
            f"And how does it compare to {article(other)}?",
            f"- **{capital(item)}**: {article(kind.name)}, used to {kind.use}.\n"
            f"- **{capital(other)}**: {article(other_kind.name)}, used to {other_kind.use}.",
        ),
        (
            rng.choice(["Sum that up in one sentence.", "Can you say it in one sentence?"]),
            f"{capital(article(item))} is {article(kind.name)} that helps to {kind.use}.",
        ),
    ]
    first = (opening, chat_text.facts_text(item, kind))
    return [first, *rng.sample(follow_ups, rng.randint(1, 4))]


def running_total(rng: random.Random) -> Turns:
    """A count that changes from turn to turn."""
    goods, name = pick(rng, "goods"), pick(rng, "first_names")
    total = rng.randint(10, 60)
    turns: Turns = [
        (
            f"{name} is keeping track of {goods} for the {pick(rng, 'events')}. There are {total} "
            f"{goods} at the start.",
            f"Understood. {name} starts with {total} {goods}. Tell me what changes and I will keep the count.",
        )
    ]
    for _ in range(rng.randint(1, 4)):
        change = rng.randint(2, 9)
        friend = pick(rng, "first_names")
        if rng.random() < 0.5 or change > total:
            asked = f"{friend} brings {change} more. How many are there now?"
            turns.append((asked, counted(name, goods, total, "+", change)))
            total += change
        else:
            asked = f"Now {friend} takes {change} away. How many are left?"
            turns.append((asked, counted(name, goods, total, "-", change)))
            total -= change
    return turns


def counted(name: str, goods: str, total: int, sign: str, change: int) -> str:
    """The answer to one change of the count."""
    result = total + change if sign == "+" else total - change
    return f"The count changes by {change}: {total} {sign} {change} = {result}.\n\n{name} now has **{result} {goods}**."


def booking(rng: random.Random) -> Turns:
    """An appointment that is made, changed and confirmed."""
    event, person = pick(rng, "events"), pick(rng, "first_names")
    slot = {
        "day": pick(rng, "days"),
        "time": f"{rng.randint(8, 18)}:00",
        "room": pick(rng, "rooms"),
    }

    def card() -> str:
        return (
            f"- Event: {event}\n- With: {person}\n- Day: {slot['day']}\n- Time: {slot['time']}\n- Room: {slot['room']}"
        )

    turns: Turns = [
        (
            f"Please note a {event} with {person} on {slot['day']} at {slot['time']} in {slot['room']}.",
            f"I have noted the {event}:\n\n{card()}",
        )
    ]
    for _ in range(rng.randint(1, 3)):
        key = rng.choice(list(slot))
        slot[key] = {
            "day": pick(rng, "days"),
            "time": f"{rng.randint(8, 18)}:00",
            "room": pick(rng, "rooms"),
        }[key]
        asked = rng.choice([f"Change the {key} to {slot[key]}, please.", f"Can we make the {key} {slot[key]}?"])
        turns.append((asked, f"I have changed the {key} of the {event}:\n\n{card()}"))
    if rng.random() < 0.5:
        turns.append(
            (
                f"Write a reminder for {person}.",
                f"Dear {person}, this is a reminder of the {event} on {slot['day']} at "
                f"{slot['time']} in {slot['room']}. See you there!",
            )
        )
    return turns


def shopping_list(rng: random.Random) -> Turns:
    """A list to which goods are added and from which they are removed."""
    things = picks(rng, "goods", rng.randint(2, 4))
    shop = pick(rng, "shops")

    def shown() -> str:
        return f"Your list for the {shop}:\n\n" + "\n".join(f"- {thing}" for thing in things)

    turns: Turns = [(f"Start a list for the {shop}: {joined(things)}.", shown())]
    for _ in range(rng.randint(1, 4)):
        if rng.random() < 0.65 or len(things) < 2:
            new = rng.choice([word for word in picks(rng, "goods", 8) if word not in things])
            things.append(new)
            asked = rng.choice([f"Add {new}.", f"I also need {new}.", f"Please put {new} on it."])
        else:
            gone = rng.choice(things)
            things.remove(gone)
            asked = rng.choice([f"Remove {gone}.", f"I do not need {gone} any more."])
        turns.append((asked, shown()))
    return turns


def code_change(rng: random.Random) -> Turns:
    """A function that is written, renamed and tested."""
    entity, field, value = pick(rng, "entities"), pick(rng, "fields"), pick(rng, "values")
    many = code_text.plural(entity)
    verb = pick(rng, "verbs")
    name = f"find_{value}_{many}"

    def code() -> str:
        return (
            f"def {name}({many}: list[dict]) -> list[dict]:\n"
            f"    return [{entity} for {entity} in {many} if {entity}['{field}'] == '{value}']"
        )

    turns: Turns = [
        (
            f"Write a Python function `{name}` that returns the {many} whose {field} is "
            f"'{value}'.{code_text.purpose(rng)}",
            code_text.fenced("python", code(), f"`{name}` keeps each {entity} whose `{field}` is `{value}`."),
        )
    ]
    if rng.random() < 0.7:
        name = f"{verb}_{value}_{many}"
        turns.append(
            (
                f"Rename it to `{name}`.",
                code_text.fenced("python", code(), f"The function is now called `{name}`."),
            )
        )
    test = (
        f"def test_{name}():\n    good = {{'{field}': '{value}'}}\n    bad = "
        f"{{'{field}': 'other'}}\n"
        f"    assert {name}([good, bad]) == [good]"
    )
    explanation = f"The test checks that `{name}` keeps only the good {entity}."
    turns.append(
        (
            rng.choice(["Now add a test for it.", "Can you write a test for that function?"]),
            code_text.fenced("python", test, explanation),
        )
    )
    return turns


def character(rng: random.Random) -> Turns:
    """A character is introduced and asked about."""
    name, job, place = pick(rng, "first_names"), pick(rng, "occupations"), pick(rng, "places")
    mood, goal = pick(rng, "adjectives"), pick(rng, "goals")
    find = f"{pick(rng, 'object_adjectives')} {pick(rng, 'finds')}"
    follow_ups = [
        (
            rng.choice(["Where does the character live?", "Which town is it again?"]),
            f"{name} lives in {place} and works there as {article(job)}.",
        ),
        (
            f"Let {name} find {article(find)}.",
            f"One morning in {place}, {name} found {article(find)} on the way to work. The {mood} "
            f"{job} picked up the {find} and smiled.",
        ),
        (
            rng.choice(["What does the hero want?", "Remind me of the goal."]),
            f"{name}, the {mood} {job} from {place}, wants to {goal}.",
        ),
        (
            rng.choice(["Write an ending.", "How does it end?"]),
            f"In the end, {name} managed to {goal}. All of {place} was proud of the {mood} {job}.",
        ),
    ]
    opening = (
        f"Let us invent a character: {name}, {article(mood)} {job} from {place} who wants to {goal}.",
        f"Meet {name}, {article(mood)} {job} from {place}. Every day {name} works hard, and every "
        f"night {name} dreams of one thing: to {goal}.",
    )
    return [opening, *rng.sample(follow_ups, rng.randint(1, 4))]


FAMILIES: tuple[Callable[[random.Random], Turns], ...] = (
    about_item,
    running_total,
    booking,
    shopping_list,
    code_change,
    character,
)


def conversation(rng: random.Random) -> Turns:
    """Two to five turns."""
    return rng.choice(FAMILIES)(rng)
