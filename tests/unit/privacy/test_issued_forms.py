"""Secrets that services issue in forms of their own, and what is published in the same places. All made up."""

import random
import string

import pytest

from eyrie.privacy.engine import Analyzer

_DRAW = random.Random(7)
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def drawn(length: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    """Has a digit and letters of both cases where the alphabet has them."""
    return "".join(_DRAW.choices(alphabet, k=length - 3)) + alphabet[0] + alphabet[-1] + alphabet[len(alphabet) // 2]


HEX = "0123456789abcdef"
# codespell:ignore-begin
FORMS = {
    "presigned link": ("https://b.s3.example/k?X-Amz-Expires=60&X-Amz-Signature={}", drawn(64, HEX)),
    "signed file": ("https://files.example/d/203734?expires=1740000000&signature={} fails", drawn(43)),
    "weather": ("curl 'api.example/data/2.5/forecast?q=Utrecht&appid={}'", drawn(32, HEX)),
    "refresh token": ('{{"expires_in": 4711, "refresh_token": "{}"}}', "0.A" + drawn(40) + ".AgAB" + drawn(40)),
    "k3s": ("K3S_TOKEN={} sh -", "K10" + drawn(64, HEX) + "::server:" + drawn(32, HEX)),
    "private calendar": ("https://calendar.example/ical/team/private-{}/basic.ics", drawn(32, HEX)),
    "wireguard": ("$ wg genkey\n{}\nand now?", drawn(43) + "="),
    "openvpn": (
        "{}\nin the profile",
        "-----BEGIN OpenVPN Static key V1-----\n" + drawn(32, HEX) + "\n-----END OpenVPN Static key V1-----",
    ),
    "windows dump": ("{}\nexplain the fields", "Administrator:500:" + drawn(32, HEX) + ":" + drawn(32, HEX) + ":::"),
    "ethereum": ('new ethers.Wallet("{}", provider)', "0x" + drawn(64, HEX)),
    "bitcoin": ('bitcoin-cli importprivkey "{}" "old" false', "K" + drawn(51, BASE58)),
    "solana": ("Phantom export: {}", drawn(87, BASE58)),
    "jwk": ('{{"kty":"OKP","crv":"Ed25519","d":"{}"}}', drawn(43)),
    "pfx": ("pipeline variable CERT_PFX={}", "MIIJ" + drawn(60)),
    "option": ("tool configure --access-key-secret {} --region eu", drawn(30)),
    "licence": ("the licence key for the plug-in is {} and it says exceeded", "JMM3LLL9WU"),
    "community": ("SNMP-Community am Switch ist {}, Version 2c", "ro_pz0nobwamb"),
    "seed of an app": ("der Schlüssel {} kam beim Einrichten", "tpoj ycok pv4f usra wa56 6nhe x3ma jawf"),
    "reset in other languages": ("{} dice caducado", "https://tienda.example/recuperar?t=" + drawn(40)),
}  # fmt: skip
# codespell:ignore-end


@pytest.mark.parametrize("form", FORMS)
def test_a_secret_in_the_form_of_its_service_is_covered_whole(analyzer: Analyzer, form: str) -> None:
    template, secret = FORMS[form]
    text = template.format(secret)
    start, inside = text.index(secret), set()
    for item in analyzer.find(text, score_threshold=0.4):
        if item.entity == "SECRET":
            inside.update(range(item.start, item.end))
    assert inside.issuperset(range(start, start + len(secret))), text


@pytest.mark.parametrize(
    "text",
    [
        "golang.org/x/crypto v0.31.0 h1:ihbySMvVjLAeSH1IbfcRTkD/iNscyz8rGzjF/E5hV6U=\nverifying: mismatch",
        "traceparent: 00-cf642b0c3a4acdd7f9fcc589f8d0a9f9-4f03e7914c0f87f1-01\nHow do I continue this trace?",
        "define( 'AUTH_KEY', 'put your unique phrase here' );\n\nwhat goes in there for a fresh WordPress",
        "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX is the format?",
        "safe to use --legacy-peer-deps? npm ERR! from react-table-lite@2.4.0, key is the lock file",
        "the container has 512Mi and java runs with -Xmx512m, which password manager fits in?",
        "see block 200, it fails, and the clock 730, which is late",
        "SNMP community is public by default, how do I change that?",
    ],
)
def test_checksums_traces_placeholders_and_settings_are_no_secrets(analyzer: Analyzer, text: str) -> None:
    assert not [item for item in analyzer.find(text, score_threshold=0.4) if item.entity == "SECRET"]


def test_a_key_that_was_cut_off_is_found_where_a_placeholder_stands_behind_it(analyzer: Analyzer) -> None:
    text = "-----BEGIN PRIVATE" + " KEY-----\nMIIEabc9\nand the webhook is XXXXXXXXXXXX in the docs, phase 2"
    assert [item for item in analyzer.find(text, score_threshold=0.4) if item.entity == "SECRET" and item.start == 0]


def test_a_seed_of_an_app_is_found_behind_a_hundred_thousand_small_letters(analyzer: Analyzer) -> None:
    seed = "tpoj ycok pv4f usra wa56 6nhe x3ma jawf"
    text = "abcd river stone " * 6_000 + seed
    assert max(item.end for item in analyzer.find(text, score_threshold=0.4) if item.entity == "SECRET") == len(text)
