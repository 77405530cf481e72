"""Chat exchanges: explanations, advice, comparisons, lists, stories, e-mails and plans.

Each function returns (prompt, answer). Randomness belongs to the prompt: an answer has one fixed
form per request, filled with words of the prompt and with the facts of the kind it is about, so
that a reader (or a draft head) can foresee most of it.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from tools.demo.words import (
    Kind,
    article,
    capital,
    joined,
    kinds,
    numbered,
    pick,
    picks,
    topic,
)

Exchange = tuple[str, str]


def background(rng: random.Random) -> str:
    """A sentence about the person who asks; answers do not depend on it."""
    return rng.choice(
        [
            f"I work as {article(pick(rng, 'occupations'))} in {pick(rng, 'places')}.",
            f"My friend {pick(rng, 'first_names')} from {pick(rng, 'places')} asked me about it.",
            f"Please keep in mind that {pick(rng, 'situations')}.",
            f"This is for the {pick(rng, 'events')} on {pick(rng, 'days')}.",
            f"We talked about it at {pick(rng, 'rooms')} last {pick(rng, 'months')}.",
            f"I saw it near the {pick(rng, 'settings')} with "
            f"{article(pick(rng, 'object_adjectives'))} {pick(rng, 'finds')}.",
            f"{capital(article(pick(rng, 'adjectives')))} {pick(rng, 'occupations')} told me to ask.",
        ]
    )


def with_background(rng: random.Random, request: str) -> str:
    """The request, mostly with one or two sentences of background before or after it."""
    chance = rng.random()
    if chance < 0.2:
        return request
    if chance < 0.5:
        return f"{background(rng)} {request}"
    if chance < 0.8:
        return f"{request} {background(rng)}"
    return f"{background(rng)} {background(rng)} {request}"


def facts_text(item: str, kind: Kind) -> str:
    """The fixed explanation of an item."""
    return (
        f"{capital(article(item))} is {article(kind.name)}. People value it because it helps to "
        f"{kind.use}.\n\nThe main parts are {joined(kind.parts)}. One thing to watch: {kind.risk}."
    )


def explain(rng: random.Random) -> Exchange:
    item, kind = topic(rng)
    audience = pick(rng, "audiences")
    request = rng.choice(
        [
            f"Explain what {article(item)} is to {audience}.",
            f"Can you tell {audience} what {article(item)} is and what it is for?",
            f"How would you explain {article(item)} to {audience}?",
            f"Describe {article(item)} in simple words for {audience}.",
            f"I have to introduce {article(item)} to {audience}. What should I say?",
        ]
    )
    answer = (
        f"{facts_text(item, kind)}\n\nTo explain it to {audience}, start with the {item} itself, "
        f"then show how it is used to {kind.use}."
    )
    return with_background(rng, request), answer


def define(rng: random.Random) -> Exchange:
    item, kind = topic(rng)
    request = rng.choice(
        [
            f"Define '{item}' in one sentence and give an example sentence.",
            f"What does the word '{item}' mean? Add an example.",
            f"Give me a short definition of '{item}' with an example of its use.",
        ]
    )
    answer = (
        f"**{capital(item)}**: {article(kind.name)} that helps to {kind.use}.\n\n"
        f"Example: The {item} was checked with care, because {kind.risk}."
    )
    return with_background(rng, request), answer


def advice(rng: random.Random) -> Exchange:
    item, kind = topic(rng)
    situation = pick(rng, "situations")
    request = rng.choice(
        [
            f"How do I look after {article(item)} when {situation}?",
            f"Give me advice on caring for {article(item)}; {situation}.",
            f"What should I do with {article(item)} if {situation}?",
            f"I need tips for {article(item)}, because {situation}.",
        ]
    )
    answer = (
        f"Here is how to look after {article(item)} when {situation}:\n\n"
        f"{numbered([capital(care) + '.' for care in kind.care])}\n\n"
        f"Remember that {kind.risk}, so take your time."
    )
    return with_background(rng, request), answer


def compare(rng: random.Random) -> Exchange:
    first, second = rng.sample(kinds(), 2)
    one, two = rng.choice(first.items), rng.choice(second.items)
    request = rng.choice(
        [
            f"What is the difference between {article(one)} and {article(two)}?",
            f"Compare {article(one)} with {article(two)}.",
            f"Please contrast {article(one)} and {article(two)} for {pick(rng, 'audiences')}.",
        ]
    )
    answer = (
        f"- **{capital(one)}**: {article(first.name)}, used to {first.use}.\n"
        f"- **{capital(two)}**: {article(second.name)}, used to {second.use}.\n\n"
        f"In short, choose the {one} if you want to {first.use}, and the {two} if you want to "
        f"{second.use}."
    )
    return with_background(rng, request), answer


def group(rng: random.Random) -> Exchange:
    chosen = rng.sample(kinds(), rng.randint(2, 3))
    rows = [(kind, rng.sample(kind.items, rng.randint(2, 3))) for kind in chosen]
    mixed = [item for _, items in rows for item in items]
    rng.shuffle(mixed)
    request = rng.choice(
        [
            f"Name the kind of each of these: {', '.join(mixed)}.",
            f"Say what kind of thing each word is: {', '.join(mixed)}.",
            f"Classify the following words one by one: {', '.join(mixed)}.",
        ]
    )
    by_item = {item: kind for kind, items in rows for item in items}
    lines = [f"- {capital(item)}: {by_item[item].name}" for item in mixed]
    return with_background(rng, request), "Here is the kind of each word:\n\n" + "\n".join(lines)


def story(rng: random.Random) -> Exchange:
    name, job, place = pick(rng, "first_names"), pick(rng, "occupations"), pick(rng, "places")
    mood, setting = pick(rng, "adjectives"), pick(rng, "settings")
    find = f"{pick(rng, 'object_adjectives')} {pick(rng, 'finds')}"
    lesson = pick(rng, "lessons")
    request = rng.choice(
        [
            f"Write a short story about {name}, {article(mood)} {job} from {place}, who finds "
            f"{article(find)} in the {setting}. The lesson should be that {lesson}.",
            f"Tell me a story in which {article(mood)} {job} called {name} discovers "
            f"{article(find)} in the {setting} of {place} and learns that {lesson}.",
            f"I would like a bedtime tale. Hero: {name}, {article(mood)} {job} in {place}. "
            f"Object: {article(find)}, found in the {setting}. Moral: {lesson}.",
        ]
    )
    answer = (
        f"{name} was {article(mood)} {job} who lived in {place}. One evening {name} walked to the "
        f"{setting} and found {article(find)} on the ground.\n\nNobody in {place} knew who had "
        f"lost "
        f"the {find}, so {name} went from door to door and asked. At the last door an old neighbor "
        f"smiled and said that it had been missing for years.\n\nFrom that day on, the {mood} "
        f"{job} "
        f"knew that {lesson}."
    )
    return request, answer


def email(rng: random.Random) -> Exchange:
    sender, receiver = picks(rng, "first_names", 2)
    event, day, room = pick(rng, "events"), pick(rng, "days"), pick(rng, "rooms")
    hour = rng.randint(8, 18)
    bring = pick(rng, "finds")
    request = rng.choice(
        [
            f"Write an email from {sender} to {receiver} about the {event} on {day} at "
            f"{hour}:00 in "
            f"{room}. Ask {receiver} to bring the {bring}.",
            f"{sender} needs to invite {receiver} to the {event} in {room}, {day} {hour}:00. Draft "
            f"the email and mention the {bring} that should be brought along.",
            f"Draft a polite message to {receiver}: the {event} takes place on {day} at "
            f"{hour}:00 in "
            f"{room}, and we need the {bring}. Sign it as {sender}.",
        ]
    )
    answer = (
        f"Subject: {capital(event)} on {day}\n\nDear {receiver},\n\nI would like to invite you to "
        f"the {event} on {day} at {hour}:00 in {room}. Please bring the {bring} with you.\n\n"
        f"Let me know if the time does not suit you.\n\nBest regards,\n{sender}"
    )
    return request, answer


def plan(rng: random.Random) -> Exchange:
    goal, weeks, minutes = pick(rng, "goals"), rng.randint(3, 9), rng.choice([10, 15, 20, 30, 45])
    start = pick(rng, "days")
    request = rng.choice(
        [
            f"Make a plan so that I can {goal} in {weeks} weeks with {minutes} minutes a day. I can start on {start}.",
            f"I want to {goal}. I have {weeks} weeks and {minutes} minutes per day, beginning on "
            f"{start}. What is a good plan?",
            f"Starting {start}, help me {goal} within {weeks} weeks; {minutes} minutes daily is all I have.",
        ]
    )
    steps = [
        f"Week 1: start on {start} and spend {minutes} minutes a day on the basics.",
        f"Weeks 2 to {weeks - 1}: keep the {minutes} minutes and note your progress."
        if weeks > 3
        else f"Week 2: keep the {minutes} minutes and note your progress.",
        f"Week {weeks}: review your notes and celebrate.",
    ]
    answer = (
        f"Here is a plan to {goal} in {weeks} weeks:\n\n"
        + "\n".join(f"- {step}" for step in steps)
        + f"\n\nIf you miss a day, do not worry: just go on to {goal} the next day."
    )
    return with_background(rng, request), answer


def itinerary(rng: random.Random) -> Exchange:
    place, count = pick(rng, "places"), rng.randint(2, 4)
    chosen = picks(rng, "activities", count)
    request = rng.choice(
        [
            f"Plan {count} days in {place} with {joined(chosen)}.",
            f"We will spend {count} days in {place} and want {joined(chosen)}. Write an itinerary.",
            f"Suggest an itinerary for {place}: {joined(chosen)}, one per day.",
        ]
    )
    lines = [
        f"**Day {number}**: enjoy {activity} in {place}, then rest in the evening."
        for number, activity in enumerate(chosen, start=1)
    ]
    answer = f"Here is a {count}-day itinerary for {place}:\n\n" + "\n".join(lines)
    return with_background(rng, request), answer


def pros_cons(rng: random.Random) -> Exchange:
    item, kind = topic(rng)
    verb = pick(rng, "verbs")
    request = rng.choice(
        [
            f"Should I {verb} my {item}? List what speaks for and against it.",
            f"Pros and cons: I may {verb} the {item} this {pick(rng, 'months')}.",
            f"Help me decide whether to {verb} {article(item)}.",
        ]
    )
    answer = (
        f"**For**: if you {verb} the {item}, it can better help to {kind.use}.\n"
        f"**Against**: it takes time, and {kind.risk}.\n\nMy advice: {kind.care[0]} first, and "
        f"then "
        f"decide whether to {verb} it."
    )
    return with_background(rng, request), answer


def greeting(rng: random.Random) -> Exchange:
    name = pick(rng, "first_names")
    request = rng.choice([f"Hello, I am {name}.", f"Hi! My name is {name}.", f"Good morning, this is {name}."])
    answer = f"Hello {name}! Nice to meet you. What can I do for you today?"
    return with_background(rng, request), answer


INTENTS: tuple[Callable[[random.Random], Exchange], ...] = (
    explain,
    define,
    advice,
    compare,
    group,
    story,
    email,
    plan,
    itinerary,
    pros_cons,
    greeting,
)


def exchange(rng: random.Random) -> Exchange:
    """One chat prompt and its answer."""
    return rng.choice(INTENTS)(rng)
