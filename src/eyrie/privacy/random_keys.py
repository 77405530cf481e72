"""Keys and tokens without a prefix: a word that looks drawn at random, beside "key", "token", "secret" and their like.

However the two are joined: in JSON, XML, CSV, a URL, a command, a sentence. What is published although it looks the
same (hashes, public keys, identifiers) is told by the word before it.
"""

import re
from collections.abc import Iterator

from eyrie.privacy.randomness import is_mixed, is_uuid, looks_random, may_be_key

_MIN_LENGTH, _MAX_LENGTH = 15, 250
_WORD = re.compile(
    rf"(?<![A-Za-z0-9+/=_.~%-])[A-Za-z0-9+/=_.~%-]{{{_MIN_LENGTH},}}(?:(?<!/):[A-Za-z0-9+/=_.~-]{{16,}})?"
)
_DOCUMENTED = ("EXAMPLE", "EXAMPLEKEY")  # as Amazon's documentation ends the keys it shows
# How fingerprints, checksums and traces begin.
PUBLISHED = re.compile(r"SHA(?:1|256|512):|sha(?:1|256|384|512)[-:]|h1:|MD5:|\d\d-[0-9a-f]{32}-|W/\"")
_NAME = re.compile(r"[A-Za-z_][\w.-]*")
_INNER_NAME = re.compile(r"[A-Z]\w*=")
_MIN_SEGMENT = 12
_KEYISH = re.compile(
    r"(?i:secret|token|passw(?:or)?[dt]|passphrase|pwd|kennwort|mot de passe|contrase[nñ]a"  # codespell:ignore mot
    r"|senha|wachtwoord"
    r"|credential|creds?(?![a-z])|bearer|jwt|authorization|api.?key"
    r"|(?:access|private|signing|encryption|licen[cs]e|auth|account|client|master|shared|session|service|storage|deploy"
    r"|webhook|admin|server|rest|write|ingest|integration|app|user|customer|consumer|subscription|rsa|ssh|hmac|aes)"
    r"[ _.-]?(?:api[ _.-]?)?key|x-[a-z-]*key|clé|clave|schlüssel|chiave|chave|sleutel|jeton"
    r"|vault login|totp|2fa|mfa|authenticator|pepper|fernet)"
    r"|(?<![a-z])(?:[kK]ey|KEY|[pP]ass|PASS|[pP]w|PW|[mM]dp|MDP|[aA]uth|AUTH|[pP]at|PAT|sig|SIG|[cC]ookie"
    r"|[jJ]?[sS]ession(?:[iI]d|_id)?|JSESSIONID|sid|SID)(?![a-z])"
    r"|(?<=[a-z])(?:Key|Auth)(?![a-z])"
)
_PUBLIC = re.compile(
    r"(?i:public(?:[_ -]?key(?:-{5}\n)?)?|pub[_ -]?key"
    r"|fingerprint|integrity|checksum|sha-?\d{1,3}|md5|digest|hash|commit|etag|nonce|revision"
    r"|(?:primary|foreign|partition|cache|sort|object)[_ -]?key|key[_ -]?(?:id|name|size|code|path)|csrf"
    r"|ssh-(?:rsa|ed25519)|base64,|token[_ -]?(?:ids?|count|url|uri|type)\b|keyid|keyboard|access[_ -]?key[_ -]?id)"
    r"[\W_]{0,12}(?:is |of |was )?[\W_]{0,4}$"
)
# A value given to a name that says nothing of keys: services whose name is enough, and whatever is no hash.
_SERVICES = re.compile(
    r"(?i:adafruit|adobe|airtable|algolia|alibaba|aliyun|amplitude|anthropic|asana|atlassian|auth0|beamer|bitbucket"
    r"|bitly|bittrex|braintree|browserstack|bugsnag|checkout|circleci|cisco|clerk|clickhouse|cloudflare|cloudinary"
    r"|codecov"
    r"|cohere|coinbase|confluent|contentful|coveralls|crates|databricks|datadog|deepgram|deepl|deepseek|digitalocean"
    r"|discord"
    r"|disqus|docusign|doppler|drone|dropbox|dynatrace|ebay|elastic|elevenlabs|etsy|facebook|fastly|figma|finicity"
    r"|finnhub"
    r"|firebase|flickr|flutterwave|foursquare|freshbooks|freshdesk|gemini|gitea|github|gitlab|gitter|gocardless|google"
    r"|grafana|heroku|honeycomb|hubspot|ibm|infura|instagram|intercom|ipstack|jenkins|jfrog|artifactory|jira|jumpcloud"
    r"|kagi|klaviyo|kraken|kucoin|launchdarkly|linkedin|linked[_-]in|looker|mailchimp|mailgun|mailjet|mapbox"
    r"|mattermost|meraki|messagebird|mistral|mixpanel|mongodb|netlify|newrelic|new[_-]relic|notion|npm|nvidia"
    r"|nytimes|okta"
    r"|onelogin|openai|openweather|opsgenie|pagerduty|paypal|pendo|perplexity|pinecone|plaid|planetscale|plivo|postman"
    r"|postmark|pusher|rapidapi|razorpay|readme|replicate|rollbar|salesforce|sendbird|sendgrid|sendinblue|brevo|sentry"
    r"|shodan|shopify|slack|snyk|sonar|splunk|spotify|squarespace|stripe|sumo|supabase|tavily|telegram|terraform|tiktok"
    r"|together|travis|trello|twilio|twitch|twitter|typeform|unsplash|vercel|virustotal|voyage|wandb|webex|xero|yandex"
    r"|yelp|youtube|zendesk|zoho|zoom)"
)
_GIVEN_TO = re.compile(r"(?:=|>|:|,|\||\()[\s\"'`=]{0,5}$")
_GIVEN_TO_KEY = re.compile(
    r"(?i:key|token|secret|passphrase|pat)[\w -]{0,12}[\"'`*\])}]{0,3}"
    r"(?:\s{0,3}[=>:|]|\s{0,3}(?i:values)\s?\(|(?:\s[^\W\d_]{1,10}){0,2}"
    r"\s(?:is|was|to|est|es|ist|=)\s)"  # codespell:ignore ist
    r"[>=\s\"'`]{0,5}$"
    r"|(?i:[a-z](?:key|token|secret))\s*\n[^\n]{0,40},$"
)
_IDENTIFIER = re.compile(
    r"(?i:(?:chatcmpl|file|req|cus|asst|call|toolu|msg|run|thread|vpc|subnet|sg|ami|vol|arn|img|sha\d*|urn|uuid|id"
    r"|evt|pi|in"
    r"|sub|price|prod|test|step|item|session|trace|span|user|org|proj|resp|ws|ft|batch|wrkspc)[_-])"
)
_PREFIXED = re.compile(r"[A-Za-z]{2,9}\d?(?:[_-][A-Za-z]{1,8}|[_-]v?\d)?[_-](?=[A-Za-z0-9_-]{24,}$)")
_BEFORE, _AFTER = 64, 40  # characters in which the word for keys is looked for
_IN_ADDRESS = re.compile(r"(?i:data:[a-z/+.-]+;base64,|https?://)\S*$")
_TELLING = re.compile(r"\d|[a-z][A-Z]")


def random_keys(text: str) -> Iterator[tuple[int, int]]:
    """(start, end) of every such word."""
    for match in _WORD.finditer(text):
        if (
            len(match[0]) > _MAX_LENGTH
            or PUBLISHED.match(match[0])
            or not _TELLING.search(match[0])
            or match[0].endswith(_DOCUMENTED)
        ):
            continue
        start, word = match.start(), match[0].rstrip(".~")
        name, equals, value = word.partition("=")
        if inner := _INNER_NAME.match(value):  # Environment=API_TOKEN=...
            name, value = word[: len(name) + inner.end()], value[inner.end() :]
        is_given = _is_name(name, value) if equals else False
        if is_given:  # name=value in a URL, a shell or a connection string
            start, word = start + len(word) - len(value), value
        if text[start - 1 : start] == "$":
            start, word = start - 1, "$" + word
        random = is_uuid(word) or looks_random(word)
        if (random or may_be_key(word)) and _is_key(text, start, start + len(word), is_given, weak=not random):
            yield start, start + len(word)


def _is_name(name: str, value: str) -> bool:
    """Whether `name=value` gives a value, and is not one with a sign in it."""
    if len(value) < _MIN_SEGMENT or not _NAME.fullmatch(name.rstrip("=").replace("=", "_")) or looks_random(name):
        return False
    return "=" not in value.rstrip("=") or _KEYISH.search(name) is not None


def _is_key(text: str, start: int, end: int, in_assignment: bool, *, weak: bool) -> bool:
    """`weak`: what looks drawn only where it is given to a name."""
    before = text[max(0, start - _BEFORE) : start].rpartition("\n\n")[2]
    if _PUBLIC.search(before) or (_IN_ADDRESS.search(before) and not in_assignment):
        return False
    if weak:
        return _GIVEN_TO_KEY.search(before) is not None
    after = text[end : end + _AFTER].partition("\n")[0]
    if _KEYISH.search(before) is not None or _KEYISH.search(after) is not None:
        return True
    if _GIVEN_TO.search(before) and _SERVICES.search(before):
        return True
    prefix = _PREFIXED.match(text, start, end)
    return prefix is not None and not _IDENTIFIER.match(text, start, end) and is_mixed(text[prefix.end() : end])
